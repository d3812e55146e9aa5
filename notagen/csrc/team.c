/* Threads that compute one step together: a pool that sleeps between steps.
 *
 * A step is hundreds of short parts, and after each the threads wait for each other. They look
 * for the others for a while and then sleep: a thread that keeps looking uses up its
 * turn of the processor, and on a machine with other work the one it waits for gets none. That
 * is what OpenMP's threads do, and why they aren't used here.
 */
#include "team.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define BREATHE _mm_pause()
#else
#define BREATHE ((void)0)
#endif

#define LOOKS 3000 /* before a thread sleeps: some 80 microseconds */
#define MOST 64    /* threads of the pool */

static void sleep_until_moved(atomic_int *round, int seen, pthread_mutex_t *lock,
                              pthread_cond_t *moved) {
    for (int looks = 0; looks < LOOKS; looks++) {
        if (atomic_load(round) != seen) return;
        BREATHE;
    }
    pthread_mutex_lock(lock);
    while (atomic_load(round) == seen) pthread_cond_wait(moved, lock);
    pthread_mutex_unlock(lock);
}

static void move_on(atomic_int *round, pthread_mutex_t *lock, pthread_cond_t *moved) {
    pthread_mutex_lock(lock);
    atomic_fetch_add(round, 1);
    pthread_mutex_unlock(lock);
    pthread_cond_broadcast(moved);
}

void notagen_meet(Meeting *m) {
    /* Read before this thread counts as come: after that the next job may set another team. */
    const int64_t team = m->team;
    if (team == 1) return;
    const int seen = atomic_load(&m->round);
    if (atomic_fetch_add(&m->here, 1) + 1 == team) {
        atomic_store(&m->here, 0);
        move_on(&m->round, &m->lock, &m->moved);
    } else {
        sleep_until_moved(&m->round, seen, &m->lock, &m->moved);
    }
}

/* The pool. Its job is set under `lock`, so that a thread that comes late sees one job or the
 * next, never half of each. */
static struct {
    pthread_mutex_t busy, lock;
    pthread_cond_t moved;
    atomic_int jobs;
    int64_t threads; /* beside the callers */
    int64_t team;
    Work *work;
    void *task;
    Meeting meeting;
} pool = {.busy = PTHREAD_MUTEX_INITIALIZER,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .moved = PTHREAD_COND_INITIALIZER,
          .meeting = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER}};

static void *serve(void *number) {
    const int64_t me = (int64_t)(intptr_t)number;
    /* Made for the job that is being set up: that one counts as new. */
    int seen = atomic_load(&pool.jobs) - 1;
    for (;;) {
        sleep_until_moved(&pool.jobs, seen, &pool.lock, &pool.moved);
        pthread_mutex_lock(&pool.lock);
        seen = atomic_load(&pool.jobs);
        Work *work = me < pool.team ? pool.work : NULL;
        void *task = pool.task;
        pthread_mutex_unlock(&pool.lock);
        if (work) {
            work(task, me, &pool.meeting);
            notagen_meet(&pool.meeting);
        }
    }
    return NULL;
}

/* A child process has none of its parent's threads. */
static void forget(void) {
    pthread_mutex_init(&pool.busy, NULL);
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.moved, NULL);
    pthread_mutex_init(&pool.meeting.lock, NULL);
    pthread_cond_init(&pool.meeting.moved, NULL);
    pool.threads = 0;
}

static void alone(Work *work, void *task) {
    Meeting nobody = {.team = 1};
    work(task, 0, &nobody);
}

void notagen_team(int64_t team, Work *work, void *task) {
    static int prepared = 0;
    /* Another engine of this process may be at work: its team is not waited for. */
    if (team < 2 || pthread_mutex_trylock(&pool.busy)) {
        alone(work, task);
        return;
    }
    if (!prepared) prepared = !pthread_atfork(NULL, NULL, forget);
    if (team > MOST) team = MOST;
    pthread_mutex_lock(&pool.lock);
    while (pool.threads < team - 1) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)(pool.threads + 1))) break;
        pthread_detach(thread);
        pool.threads++;
    }
    if (team > pool.threads + 1) team = pool.threads + 1;
    pool.team = team;
    pool.work = work;
    pool.task = task;
    pool.meeting.team = team;
    atomic_store(&pool.meeting.here, 0);
    atomic_fetch_add(&pool.jobs, 1);
    pthread_mutex_unlock(&pool.lock);
    pthread_cond_broadcast(&pool.moved);
    work(task, 0, &pool.meeting);
    notagen_meet(&pool.meeting);
    pthread_mutex_unlock(&pool.busy);
}
