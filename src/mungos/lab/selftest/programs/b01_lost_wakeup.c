/* The flag is tested without the lock, then it is waited for; the signal comes between the two. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int done;

static void *work(void *unused)
{
    pthread_mutex_lock(&lock);
    done = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    return unused;
}

int main(int count, char **words)
{
    int repaired = count > 1 && strcmp(words[1], "repaired") == 0;
    pthread_t worker;

    if (repaired) {
        pthread_create(&worker, NULL, work, NULL);
        pthread_mutex_lock(&lock);
        while (!done)
            pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
        pthread_join(worker, NULL);
    } else if (!done) {
        pthread_create(&worker, NULL, work, NULL);
        pthread_join(worker, NULL); /* the unlucky moment, at every run */
        pthread_mutex_lock(&lock);
        pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
    }
    puts("done");
    return 0;
}
