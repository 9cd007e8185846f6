/* The manager locks itself, then the connection; the connection locks itself, then the manager. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t manager = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t connection = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;
static int repaired;

static void lock_both(pthread_mutex_t *first, pthread_mutex_t *second)
{
    pthread_mutex_lock(first);
    if (!repaired)
        pthread_barrier_wait(&both); /* the unlucky moment, at every run */
    pthread_mutex_lock(second);
    pthread_mutex_unlock(second);
    pthread_mutex_unlock(first);
}

static void *close_connection(void *unused)
{
    if (repaired)
        lock_both(&manager, &connection);
    else
        lock_both(&connection, &manager);
    return unused;
}

int main(int count, char **words)
{
    pthread_t closer;

    repaired = count > 1 && strcmp(words[1], "repaired") == 0;
    pthread_barrier_init(&both, NULL, 2);
    pthread_create(&closer, NULL, close_connection, NULL);
    lock_both(&manager, &connection);
    pthread_join(closer, NULL);
    puts("closed");
    return 0;
}
