/* The text of the failure is printed into a pipe, where it waits for the rest of its block; then the process
   dies. What was printed long before is the last that is seen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *text)
{
    printf("check failed: %s\n", text);
    abort();
}

int main(int count, char **words)
{
    int repaired = count > 1 && strcmp(words[1], "repaired") == 0;

    if (repaired)
        setvbuf(stdout, NULL, _IOLBF, 0);
    for (int number = 1; number <= 200; number++)
        printf("connection %d closed\n", number);
    if (!repaired)
        fail("12 is not 13");
    printf("all connections closed\n");
    return 0;
}
