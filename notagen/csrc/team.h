/* Threads that compute one step together. */
#ifndef NOTAGEN_TEAM_H
#define NOTAGEN_TEAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* Where a team's threads wait for each other. */
typedef struct {
    int64_t team;
    atomic_int here, round;
    pthread_mutex_t lock;
    pthread_cond_t moved;
} Meeting;

/* Wait until the whole team has come. */
void notagen_meet(Meeting *meeting);

typedef void Work(void *task, int64_t me, Meeting *meeting);

/* Have `team` threads, the caller among them, do a piece of work; fewer where there are none to
 * be had. It is done when this returns. */
void notagen_team(int64_t team, Work *work, void *task);

#endif
