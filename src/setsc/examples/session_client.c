/*
 * The example of draft-ietf-dmm-ondemand-mobility-17, section 4.1, made to work: a TCP client whose connection survives a move.
 *
 *   session_client ADDRESS PORT [TYPE...]
 *
 * socket -> setsc -> bind -> connect, and then each line of standard input is sent and one line is read back. TYPEs (fixed,
 * session-lasting, nonpersistent, graceful-replacement; default session-lasting) are tried in turn, each with a new socket, as the last
 * application of section 4.2 does; when none is to be had the program goes on without, on the host's ordinary address.
 *
 * What is different from the draft's text: socket() fails with -1, not with anything but 0; setsc() takes the type, not its address;
 * one spelling of the type's name; the addresses are zeroed before use.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "setsc.h"

static const char *const names[] = {NULL, "fixed", "session-lasting", "nonpersistent", "graceful-replacement"};

static sc_type type_of(const char *name)
{
    for (sc_type type = FIXED_IPV6_ADDRESS; type <= GRACEFUL_REPLACEMENT_IPV6_ADDRESS; type++) {
        if (strcmp(name, names[type]) == 0) {
            return type;
        }
    }

    return 0;   /* reserved: setsc() refuses it */
}

/* A socket that is bound to an address of this type, or -1. */
static int typed_socket(const char *name)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr sourceAddress;
    int s = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s == -1) {
        perror("socket");
        return -1;
    }

    /* The program cannot connect yet: first it asks for the address that it wants to connect from. */
    int result = setsc(s, &sourceAddress, type_of(name));
    if (result != 0) {
        printf("%s: %s\n", name, setsc_strerror(result));
        close(s);
        return -1;
    }

    struct sockaddr_in6 sourceInfo;
    memset(&sourceInfo, 0, sizeof sourceInfo);
    sourceInfo.sin6_family = AF_INET6;
    sourceInfo.sin6_port = 0;   /* let the stack choose the port */
    sourceInfo.sin6_addr = sourceAddress;
    if (bind(s, (struct sockaddr *)&sourceInfo, sizeof sourceInfo) != 0) {
        perror("bind");
        close(s);
        return -1;
    }

    printf("%s: %s\n", name, inet_ntop(AF_INET6, &sourceAddress, text, sizeof text));
    return s;
}

static int connected(int s, const char *address, const char *port)
{
    struct addrinfo *server, hints;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_INET6;
    hints.ai_socktype = SOCK_STREAM;
    int result = getaddrinfo(address, port, &hints, &server);
    if (result != 0) {
        fprintf(stderr, "%s: %s\n", address, gai_strerror(result));
        return -1;
    }

    result = connect(s, server->ai_addr, server->ai_addrlen);
    if (result != 0) {
        perror("connect");
    }

    freeaddrinfo(server);
    return result;
}

static int exchange(int s)
{
    char text[1024];
    FILE *from = fdopen(dup(s), "r"), *to = fdopen(s, "w");
    if (from == NULL || to == NULL) {
        perror("fdopen");
        return 1;
    }

    while (fgets(text, sizeof text, stdin) != NULL) {
        if (fputs(text, to) == EOF || fflush(to) == EOF || fgets(text, sizeof text, from) == NULL) {
            fputs("The connection is gone.\n", stderr);
            return 1;
        }

        fputs(text, stdout);
    }

    fclose(from);
    fclose(to);
    return 0;
}

int main(int count, char **arguments)
{
    char session_lasting[] = "session-lasting", *usual[] = {session_lasting, NULL};
    if (count < 3) {
        fprintf(stderr, "usage: %s ADDRESS PORT [TYPE...]\n", arguments[0]);
        return 2;
    }

    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    int s = -1;
    for (char **type = count > 3 ? arguments + 3 : usual; s == -1 && *type != NULL; type++) {
        s = typed_socket(*type);
    }

    if (s == -1) {
        puts("none: the host's ordinary address");
        s = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    }

    return s == -1 || connected(s, arguments[1], arguments[2]) != 0 ? 1 : exchange(s);
}
