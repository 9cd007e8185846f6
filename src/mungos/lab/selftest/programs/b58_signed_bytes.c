/* A byte of the wire is compared as a char, which has a sign on some processors and none on others. */
#include <stdio.h>
#include <string.h>

int main(int count, char **words)
{
    int repaired = count > 1 && strcmp(words[1], "repaired") == 0;
    const char *wire = "\x88\x02\x03\xe8";

    if (repaired)
        puts((unsigned char)wire[0] == 0x88 ? "a Close frame" : "an unknown frame");
    else
        puts(wire[0] == 0x88 ? "a Close frame" : "an unknown frame");
    return 0;
}
