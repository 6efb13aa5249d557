/* main.c - the program `nexadb`: one command a row. */
#include <stdio.h>

#include <nexadb/version.h>

int main(void)
{
    printf("nexadb %s\n", NX_VERSION);
    return 0;
}
