/*
 * How long setsc() takes with an address at hand: a new socket for each question, only the question is timed.
 *
 *   setsc_bench [COUNT [TYPE [THREADS]]]     against the dataplane at ONDEMAND_PROGRAMS
 *   setsc_bench --floor [COUNT]              against a stand-in in this process that answers at once: what the library, the kernel
 *                                            and a Unix socket cost without any dataplane
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "setsc.h"

#define FIRST   200 /* questions, told apart: a dataplane that has hardly been asked has not compiled what answers them for this machine */
#define WARM_UP 6   /* seconds of questions between these and those that count */

struct worker {
    pthread_t thread;
    sc_type type;
    long count;
    int warm_up;             /* seconds */
    uint64_t *times, *first; /* nanoseconds */
    uint64_t began;          /* when those that count did */
    int result;              /* the first that was not 0 */
};

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Asks for a new socket; returns the nanoseconds it took. */
static uint64_t ask(struct worker *worker)
{
    struct in6_addr address;
    int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    uint64_t start = now();
    worker->result = setsc(s, &address, worker->type);
    uint64_t took = now() - start;
    close(s);
    return took;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (long i = 0; i < FIRST && worker->result == 0; i++) {
        worker->first[i] = ask(worker);
    }

    uint64_t warm = now() + (uint64_t)worker->warm_up * 1000000000u;
    while (now() < warm && worker->result == 0) {
        (void)ask(worker);
    }

    worker->began = now();
    for (long i = 0; i < worker->count && worker->result == 0; i++) {
        worker->times[i] = ask(worker);
    }

    return NULL;
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static int measure(long count, sc_type type, int threads, int warm_up)
{
    long each = count / threads;
    uint64_t *times = calloc((size_t)(each * threads), sizeof *times);
    uint64_t *first = calloc((size_t)(FIRST * threads), sizeof *first);
    struct worker *workers = calloc((size_t)threads, sizeof *workers);
    if (times == NULL || first == NULL || workers == NULL || each == 0) {
        fputs("Too many, or too few.\n", stderr);
        free(times);
        free(first);
        free(workers);
        return 2;
    }

    int result = 0;
    uint64_t began = UINT64_MAX;
    for (int i = 0; i < threads; i++) {
        workers[i] = (struct worker){
            .type = type, .count = each, .warm_up = warm_up, .times = times + i * each, .first = first + (long)i * FIRST};
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }

    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        result = result == 0 ? workers[i].result : result;
        began = workers[i].began < began ? workers[i].began : began;
    }

    double seconds = (double)(now() - began) / 1e9;
    count = each * threads;
    if (result == 0) {
        long firsts = (long)FIRST * threads;
        qsort(times, (size_t)count, sizeof *times, compare);
        qsort(first, (size_t)firsts, sizeof *first, compare);
        printf("%ld questions, %d at once: p50 %.1f us, p90 %.1f us, p99 %.1f us, longest %.1f us; %.0f a second; the first %ld: p50 %.1f us\n",
            count, threads, (double)times[count / 2] / 1e3, (double)times[count * 9 / 10] / 1e3, (double)times[count * 99 / 100] / 1e3,
            (double)times[count - 1] / 1e3, (double)count / seconds, firsts, (double)first[firsts / 2] / 1e3);
    } else {
        fprintf(stderr, "%s\n", setsc_strerror(result));
    }

    free(times);
    free(first);
    free(workers);
    return result == 0 ? 0 : 1;
}

/* Answers every question with the same address. It is this process that asks, so the descriptor needs no taking. */
static void *stand_in(void *argument)
{
    for (int listener = *(int *)argument;;) {
        char text[1024], body[256];
        int connection = accept(listener, NULL, NULL);
        ssize_t got = recv(connection, text, sizeof text - 1, 0);
        text[got > 0 ? got : 0] = '\0';
        const char *fd = strstr(text, "\"fd\":"), *type = strstr(text, "\"type\":\"");
        uint64_t cookie = 0;
        socklen_t length = sizeof cookie;
        if (fd != NULL && type != NULL && getsockopt(atoi(fd + 5), SOL_SOCKET, SO_COOKIE, &cookie, &length) == 0) {
            int size = snprintf(body, sizeof body, "{\"cookie\":\"%" PRIu64 "\",\"address\":\"2001:db8::1\",\"type\":\"%.*s\"}", cookie,
                (int)strcspn(type + 8, "\""), type + 8);
            size = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", size, body);
            (void)!send(connection, text, (size_t)size, MSG_NOSIGNAL);
        }

        close(connection);
    }

    return NULL;
}

static int measure_floor(long count)
{
    char folder[] = "/tmp/setsc-bench-XXXXXX";
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    pthread_t thread;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (mkdtemp(folder) == NULL) {
        perror("mkdtemp");
        return 1;
    }

    snprintf(name.sun_path, sizeof name.sun_path, "%s/programs.sock", folder);
    if (bind(listener, (struct sockaddr *)&name, sizeof name) != 0 || listen(listener, 128) != 0) {
        perror(name.sun_path);
        return 1;
    }

    setenv("ONDEMAND_PROGRAMS", name.sun_path, 1);
    pthread_create(&thread, NULL, stand_in, &listener);
    int status = measure(count, SESSION_LASTING_IPV6_ADDRESS, 1, 0);
    unlink(name.sun_path);
    rmdir(folder);
    return status;
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "--floor") == 0) {
        return measure_floor(count > 2 ? atol(arguments[2]) : 20000);
    }

    int threads = count > 3 ? atoi(arguments[3]) : 1;
    return measure(count > 1 ? atol(arguments[1]) : 20000, count > 2 ? (sc_type)atoi(arguments[2]) : SESSION_LASTING_IPV6_ADDRESS,
        threads > 0 ? threads : 1, WARM_UP);
}
