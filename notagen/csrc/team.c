/* Threads that compute one batch together: a pool whose threads sleep between batches.
 *
 * A batch has hundreds of short parts, and after each the threads wait for each other. They spin
 * for a while and then sleep. A thread that only spins uses up its time slice, and on a machine
 * with other work the thread that it waits for then gets none. OpenMP's threads behave like that,
 * which is why OpenMP is not used here.
 */
#include "team.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define PAUSE _mm_pause()
#else
#define PAUSE ((void)0)
#endif

#define SPINS 3000      /* before a thread sleeps: about 80 microseconds */
#define MAX_THREADS 64  /* of the pool */

static void wait_for_change(atomic_int *round, int seen, pthread_mutex_t *lock,
                            pthread_cond_t *advanced) {
    for (int spins = 0; spins < SPINS; spins++) {
        if (atomic_load(round) != seen) return;
        PAUSE;
    }
    pthread_mutex_lock(lock);
    while (atomic_load(round) == seen) pthread_cond_wait(advanced, lock);
    pthread_mutex_unlock(lock);
}

static void advance(atomic_int *round, pthread_mutex_t *lock, pthread_cond_t *advanced) {
    pthread_mutex_lock(lock);
    atomic_fetch_add(round, 1);
    pthread_mutex_unlock(lock);
    pthread_cond_broadcast(advanced);
}

void notagen_wait(Barrier *barrier) {
    /* Read before this thread counts as arrived: after that the next job may set another number. */
    const int64_t threads = barrier->threads;
    if (threads == 1) return;
    const int seen = atomic_load(&barrier->round);
    if (atomic_fetch_add(&barrier->arrived, 1) + 1 == threads) {
        atomic_store(&barrier->arrived, 0);
        advance(&barrier->round, &barrier->lock, &barrier->advanced);
    } else {
        wait_for_change(&barrier->round, seen, &barrier->lock, &barrier->advanced);
    }
}

/* The pool. Its job is set under `lock`, so that a thread that wakes late sees one job or the
 * next one, never half of each. */
static struct {
    pthread_mutex_t busy, lock;
    pthread_cond_t advanced;
    atomic_int jobs;
    int64_t started;  /* threads that were started; the callers are not among them */
    int64_t threads;  /* of the job, the caller included */
    Work *work;
    void *task;
    Barrier barrier;
} pool = {.busy = PTHREAD_MUTEX_INITIALIZER,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .advanced = PTHREAD_COND_INITIALIZER,
          .barrier = {.lock = PTHREAD_MUTEX_INITIALIZER, .advanced = PTHREAD_COND_INITIALIZER}};

static void *worker(void *number) {
    const int64_t thread = (int64_t)(intptr_t)number;
    /* Started for the job that is being set up: that one counts as new. */
    int seen = atomic_load(&pool.jobs) - 1;
    for (;;) {
        wait_for_change(&pool.jobs, seen, &pool.lock, &pool.advanced);
        pthread_mutex_lock(&pool.lock);
        seen = atomic_load(&pool.jobs);
        Work *work = thread < pool.threads ? pool.work : NULL;
        void *task = pool.task;
        pthread_mutex_unlock(&pool.lock);
        if (work) {
            work(task, thread, &pool.barrier);
            notagen_wait(&pool.barrier);
        }
    }
    return NULL;
}

/* A forked child has none of its parent's threads. */
static void reset_in_child(void) {
    pthread_mutex_init(&pool.busy, NULL);
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.advanced, NULL);
    pthread_mutex_init(&pool.barrier.lock, NULL);
    pthread_cond_init(&pool.barrier.advanced, NULL);
    pool.started = 0;
}

static void run_alone(Work *work, void *task) {
    Barrier single = {.threads = 1};
    work(task, 0, &single);
}

void notagen_run(int64_t threads, Work *work, void *task) {
    static int registered = 0;
    /* Another engine of this process may be using the pool: do not wait for it. */
    if (threads < 2 || pthread_mutex_trylock(&pool.busy)) {
        run_alone(work, task);
        return;
    }
    if (!registered) registered = !pthread_atfork(NULL, NULL, reset_in_child);
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    pthread_mutex_lock(&pool.lock);
    while (pool.started < threads - 1) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker, (void *)(intptr_t)(pool.started + 1))) break;
        pthread_detach(thread);
        pool.started++;
    }
    if (threads > pool.started + 1) threads = pool.started + 1;
    pool.threads = threads;
    pool.work = work;
    pool.task = task;
    pool.barrier.threads = threads;
    atomic_store(&pool.barrier.arrived, 0);
    atomic_fetch_add(&pool.jobs, 1);
    pthread_mutex_unlock(&pool.lock);
    pthread_cond_broadcast(&pool.advanced);
    work(task, 0, &pool.barrier);
    notagen_wait(&pool.barrier);
    pthread_mutex_unlock(&pool.busy);
}
