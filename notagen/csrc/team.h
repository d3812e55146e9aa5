/* Threads that compute one batch together. */
#ifndef NOTAGEN_TEAM_H
#define NOTAGEN_TEAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* Where the threads of a team wait for each other. */
typedef struct {
    int64_t threads;
    atomic_int arrived, round;
    pthread_mutex_t lock;
    pthread_cond_t advanced;
} Barrier;

/* Wait until all threads of the team have arrived. */
void notagen_wait(Barrier *barrier);

typedef void Work(void *task, int64_t thread, Barrier *barrier);

/* Run a piece of work on `threads` threads, the caller among them; on fewer where there are not
 * so many. It is complete when this returns. */
void notagen_run(int64_t threads, Work *work, void *task);

#endif
