/*
 * A UDP client that binds to nothing: the dataplane gives its packets an address of the wanted type on their way (setsc_map).
 *
 *   mapped_client ADDRESS PORT [fixed|session-lasting|nonpersistent|graceful-replacement [on-net]]
 *
 * Each line of standard input is a datagram; an answer is waited for one second. With on-net the serving network is asked for a new
 * prefix even if one of that type is at hand.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "setsc.h"

static sc_type type_of(const char *name)
{
    return strcmp(name, "fixed") == 0                  ? FIXED_IPV6_ADDRESS
        : strcmp(name, "session-lasting") == 0      ? SESSION_LASTING_IPV6_ADDRESS
        : strcmp(name, "nonpersistent") == 0        ? NON_PERSISTENT_IPV6_ADDRESS
        : strcmp(name, "graceful-replacement") == 0 ? GRACEFUL_REPLACEMENT_IPV6_ADDRESS
                                                    : 0;
}

static int ask(int s, const char *name, int on_net)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr others_see;
    int flags = on_net ? IPV6_REQUIRE_SRC_ON_NET : 0;
    if (setsc_setsockopt(s, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &flags, sizeof flags) != 0) {
        perror("setsc_setsockopt");
        return -1;
    }

    int result = setsc_map(s, &others_see, type_of(name));
    printf("%s: %s\n", name, result == 0 ? inet_ntop(AF_INET6, &others_see, text, sizeof text) : setsc_strerror(result));
    return result;
}

static void exchange(int s)
{
    char text[1024];
    while (fgets(text, sizeof text, stdin) != NULL) {
        ssize_t length = send(s, text, strlen(text), 0);
        length = length < 0 ? length : recv(s, text, sizeof text - 1, 0);
        if (length < 0) {
            perror("no answer");
        } else {
            text[length] = '\0';
            fputs(text, stdout);
        }
    }
}

int main(int count, char **arguments)
{
    struct addrinfo *server, hints;
    const struct timeval second = {1, 0};
    if (count < 3) {
        fprintf(stderr, "usage: %s ADDRESS PORT [TYPE [on-net]]\n", arguments[0]);
        return 2;
    }

    setvbuf(stdout, NULL, _IOLBF, 0);
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_INET6;
    hints.ai_socktype = SOCK_DGRAM;
    int result = getaddrinfo(arguments[1], arguments[2], &hints, &server);
    if (result != 0) {
        fprintf(stderr, "%s: %s\n", arguments[1], gai_strerror(result));
        return 1;
    }

    int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s == -1 || setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) != 0) {
        perror("socket");
        return 1;
    }

    if (ask(s, count > 3 ? arguments[3] : "nonpersistent", count > 4 && strcmp(arguments[4], "on-net") == 0) != 0) {
        puts("none: the host's ordinary address");
    }

    if (connect(s, server->ai_addr, server->ai_addrlen) != 0) {
        perror("connect");
        return 1;
    }

    freeaddrinfo(server);
    exchange(s);
    close(s);
    return 0;
}
