// Request and response of one octet over TCP, and how long the answers take.
//   rr serve PORT                   answers, one connection after the other
//   rr ask ADDRESS PORT SECONDS     asks; prints "microseconds count" lines, buckets 3 % wide that bear their upper end
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BUCKETS 800
static const double WIDTH = 1.03;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int serve(int port) {
    struct sockaddr_in6 own = {.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)port)};
    int one = 1, listener = socket(AF_INET6, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&own, sizeof own) || listen(listener, 8)) {
        perror("rr: bind");
        return 1;
    }
    for (;;) {
        int peer = accept(listener, NULL, NULL);
        char octets[256];
        ssize_t length;
        if (peer < 0) continue;
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        while ((length = read(peer, octets, sizeof octets)) > 0)
            if (write(peer, octets, (size_t)length) != length) break;
        close(peer);
    }
}

static int ask(const char *address, int port, double seconds) {
    static long counts[BUCKETS];
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)port)};
    struct timeval patience = {3, 0};
    int one = 1, s = socket(AF_INET6, SOCK_STREAM, 0);
    if (inet_pton(AF_INET6, address, &to.sin6_addr) != 1) {
        fprintf(stderr, "rr: %s is no IPv6 address\n", address);
        return 2;
    }
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(s, (struct sockaddr *)&to, sizeof to)) {
        perror("rr: connect");
        return 1;
    }
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (double end = now() + seconds, begin = now(); begin < end;) {
        char octet = 1;
        if (write(s, &octet, 1) != 1 || read(s, &octet, 1) != 1) {
            perror("rr");
            return 1;
        }
        double after = now(), us = (after - begin) * 1e6;
        int bucket = us <= 1 ? 0 : (int)ceil(log(us) / log(WIDTH));
        counts[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
        begin = after;
    }
    for (int i = 0; i < BUCKETS; i++)
        if (counts[i]) printf("%.2f %ld\n", pow(WIDTH, i), counts[i]);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "serve")) return serve(atoi(argv[2]));
    if (argc == 5 && !strcmp(argv[1], "ask")) return ask(argv[2], atoi(argv[3]), atof(argv[4]));
    fprintf(stderr, "usage: rr serve PORT | rr ask ADDRESS PORT SECONDS\n");
    return 2;
}
