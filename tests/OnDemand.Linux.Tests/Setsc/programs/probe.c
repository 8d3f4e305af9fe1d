/*
 * What the tests of libsetsc run: one situation a run, and what came of it as "name=value" lines.
 *
 *   probe call KIND FUNCTION TYPE [TIMEOUT [FLAGS [REPEAT]]]
 *   probe preferences FLAGS...         each set in turn on one socket, then setsc()
 *   probe reuse | many COUNT | threads COUNT EACH | cancel | signals | race | hangup COUNT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "setsc.h"

static int descriptors(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder) != NULL) {
        count++;
    }

    closedir(folder);
    return count;
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static uint64_t cookie(int s)
{
    uint64_t value = 0;
    socklen_t length = sizeof value;
    (void)getsockopt(s, SOL_SOCKET, SO_COOKIE, &value, &length);
    return value;
}

static int option(int s, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(s, IPPROTO_IPV6, name, &value, &length) == 0 ? value : -1;
}

static int opened(const char *kind)
{
    return strcmp(kind, "tcp") == 0  ? socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)
        : strcmp(kind, "udp") == 0   ? socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)
        : strcmp(kind, "inet") == 0  ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)
        : strcmp(kind, "unix") == 0  ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
        : strcmp(kind, "file") == 0  ? open("/dev/null", O_RDONLY | O_CLOEXEC)
        : strcmp(kind, "minus") == 0 ? -1
                                     : 777; /* a number that is not open */
}

static int called(const char *function, int s, struct in6_addr *address, sc_type type, int timeout, unsigned int flags)
{
    struct setsc_options options = {sizeof options, flags, timeout}, short_of_one = {1, flags, timeout};
    return strcmp(function, "setsc") == 0   ? setsc(s, address, type)
        : strcmp(function, "timeout") == 0  ? setsc_timeout(s, address, type, timeout)
        : strcmp(function, "map") == 0      ? setsc_map(s, address, type)
        : strcmp(function, "map-null") == 0 ? setsc_map(s, NULL, type)
        : strcmp(function, "null") == 0     ? setsc(s, NULL, type)
        : strcmp(function, "release") == 0  ? setsc_release(s)
        : strcmp(function, "size") == 0     ? setsc_opts(s, address, type, &short_of_one)
                                            : setsc_opts(s, address, type, &options);
}

static void print_result(int result, const struct in6_addr *address)
{
    char text[INET6_ADDRSTRLEN];
    printf("result=%d\naddress=%s\nmessage=%s\n", result, inet_ntop(AF_INET6, address, text, sizeof text), setsc_strerror(result));
}

static int call(int count, char **arguments)
{
    struct in6_addr address = in6addr_any;
    int timeout = count > 3 ? atoi(arguments[3]) : 0, repeat = count > 5 ? atoi(arguments[5]) : 1;
    unsigned int flags = count > 4 ? (unsigned int)strtoul(arguments[4], NULL, 0) : 0;
    int s = opened(arguments[0]), before = descriptors(), results[4] = {0};
    int64_t start = now();
    for (int i = 0; i < repeat; i++) {
        errno = 4711;
        int result = called(arguments[1], s, &address, (sc_type)strtoul(arguments[2], NULL, 0), timeout, flags);
        if (i + 1 == repeat) {
            printf("errno=%d\n", errno);
            print_result(result, &address);
        }

        results[result == 0 ? 0 : result == EPROTO ? 1 : result == ECONNRESET ? 2 : 3]++;
    }

    printf("elapsed=%" PRId64 "\nleft=%d\nfreebind=%d\n", now() - start, descriptors() - before, option(s, IPV6_FREEBIND));
    printf("cookie=%" PRIu64 "\ngood=%d\nproto=%d\nreset=%d\nother=%d\n", cookie(s), results[0], results[1], results[2], results[3]);
    return 0;
}

static int preferences(int count, char **arguments)
{
    struct in6_addr address = in6addr_any;
    int s = opened("tcp");
    for (int i = 0; i < count; i++) {
        int flags = (int)strtoul(arguments[i], NULL, 0), seen = 0;
        socklen_t length = sizeof seen;
        errno = 0;
        int result = setsc_setsockopt(s, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &flags, sizeof flags);
        int error = errno;
        (void)setsc_getsockopt(s, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &seen, &length);
        printf("set%d=%d %d kernel %x ours %x\n", i, result, error, (unsigned int)option(s, IPV6_ADDR_PREFERENCES), (unsigned int)seen);
    }

    print_result(setsc(s, &address, SESSION_LASTING_IPV6_ADDRESS), &address);
    return 0;
}

static void require_on_net(int s)
{
    int flags = IPV6_REQUIRE_SRC_ON_NET;
    if (setsc_setsockopt(s, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &flags, sizeof flags) != 0) {
        perror("setsc_setsockopt");
        exit(1);
    }
}

static int remembered(int s)
{
    int flags = 0;
    socklen_t length = sizeof flags;
    (void)setsc_getsockopt(s, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &flags, &length);
    return (flags & IPV6_REQUIRE_SRC_ON_NET) != 0;
}

static int reuse(void)
{
    int first = opened("tcp"), twin = dup(first);
    require_on_net(first);
    printf("first=%d\ntwin=%d\n", remembered(first), remembered(twin));
    close(first);
    close(twin);
    int second = opened("tcp");
    printf("number=%s\nsecond=%d\n", second == first ? "same" : "other", remembered(second));
    return 0;
}

static int many(int count)
{
    int kept = 0, last[64];
    for (int i = 0; i < 64; i++) {
        last[i] = -1;
    }

    for (int i = 0; i < count; i++) {
        if (last[i % 64] != -1) {
            close(last[i % 64]);
        }

        last[i % 64] = opened("udp");
        require_on_net(last[i % 64]);
    }

    for (int i = 0; i < 64; i++) {
        kept += remembered(last[i]);
    }

    printf("kept=%d\n", kept);
    return 0;
}

static atomic_int wrong;

/* The server gives each socket the address 2001:db8::/64 with the socket's cookie at its end. */
static void *asking(void *argument)
{
    for (int i = 0; i < *(int *)argument; i++) {
        struct in6_addr address;
        int s = opened(i % 2 == 0 ? "tcp" : "udp");
        uint64_t mine = cookie(s), given = 0;
        sc_type type = 1 + (sc_type)i % 4;
        if (setsc(s, &address, type) == 0) {
            for (int octet = 8; octet < 16; octet++) {
                given = given << 8 | address.s6_addr[octet];
            }
        }

        wrong += given != mine;
        close(s);
    }

    return NULL;
}

static int threads(int count, int each)
{
    pthread_t running[256];
    int before = descriptors();
    for (int i = 0; i < count; i++) {
        pthread_create(&running[i], NULL, asking, &each);
    }

    for (int i = 0; i < count; i++) {
        pthread_join(running[i], NULL);
    }

    printf("wrong=%d\nleft=%d\n", (int)wrong, descriptors() - before);
    return 0;
}

struct question {
    int s, result;
    struct in6_addr address;
};

static void *question(void *argument)
{
    struct question *asked = argument;
    asked->result = setsc(asked->s, &asked->address, SESSION_LASTING_IPV6_ADDRESS);
    return NULL;
}

/* Reads one line: the test says when its server has been asked. */
static void told(void)
{
    char line[16];
    if (fgets(line, sizeof line, stdin) == NULL) {
        exit(1);
    }
}

static int cancel(void)
{
    pthread_t thread;
    void *ended = NULL;
    struct question asked = {.s = opened("tcp"), .result = 4711};
    int before = descriptors();
    pthread_create(&thread, NULL, question, &asked);
    told();
    pthread_cancel(thread);
    pthread_join(thread, &ended);
    printf("canceled=%d\nleft=%d\nresult=%d\n", ended == PTHREAD_CANCELED, descriptors() - before, asked.result);
    return 0;
}

static atomic_int rung;

static void ring(int number)
{
    (void)number;
    rung++;
}

static int signals(void)
{
    struct sigaction action = {.sa_handler = ring};
    struct itimerval often = {{0, 2000}, {0, 2000}};
    struct in6_addr address = in6addr_any;
    sigaction(SIGALRM, &action, NULL);
    int s = opened("tcp");
    setitimer(ITIMER_REAL, &often, NULL);
    int result = setsc(s, &address, SESSION_LASTING_IPV6_ADDRESS);
    memset(&often, 0, sizeof often);
    setitimer(ITIMER_REAL, &often, NULL);
    printf("interrupted=%d\n", rung > 3);
    print_result(result, &address);
    return 0;
}

/* The socket is closed while setsc() waits, and its number is another socket's when the answer comes. */
static int race(void)
{
    pthread_t thread;
    struct question asked = {.s = opened("tcp")};
    int before = descriptors();
    pthread_create(&thread, NULL, question, &asked);
    told();
    close(asked.s);
    int other = opened("tcp");
    puts("closed");
    fflush(stdout);
    pthread_join(thread, NULL);
    printf("number=%s\nfreebind=%d\nleft=%d\n", other == asked.s ? "same" : "other", option(other, IPV6_FREEBIND), descriptors() - before);
    print_result(asked.result, &asked.address);
    return 0;
}

static void *hanging_up(void *argument)
{
    for (;;) {
        int connection = accept4(*(int *)argument, NULL, NULL, SOCK_NONBLOCK);
        if (connection >= 0) {
            close(connection);
        }
    }

    return NULL;
}

/* A dataplane that hangs up as fast as it can, often before it has been asked. */
static int hangup(int count)
{
    int results[2] = {0}, s = opened("tcp"), listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    pthread_t thread;
    signal(SIGPIPE, SIG_DFL);   /* whatever was inherited */
    snprintf(name.sun_path, sizeof name.sun_path, "%s", getenv("ONDEMAND_PROGRAMS"));
    if (bind(listener, (struct sockaddr *)&name, sizeof name) != 0 || listen(listener, 16) != 0) {
        perror(name.sun_path);
        return 1;
    }

    pthread_create(&thread, NULL, hanging_up, &listener);
    for (int i = 0; i < count; i++) {
        struct in6_addr address;
        results[setsc(s, &address, FIXED_IPV6_ADDRESS) == ECONNRESET]++;
    }

    printf("reset=%d\nother=%d\n", results[1], results[0]);
    return 0;
}

int main(int count, char **arguments)
{
    const char *what = count > 1 ? arguments[1] : "";
    return strcmp(what, "call") == 0        ? call(count - 2, arguments + 2)
        : strcmp(what, "preferences") == 0 ? preferences(count - 2, arguments + 2)
        : strcmp(what, "reuse") == 0       ? reuse()
        : strcmp(what, "many") == 0        ? many(atoi(arguments[2]))
        : strcmp(what, "threads") == 0     ? threads(atoi(arguments[2]), atoi(arguments[3]))
        : strcmp(what, "cancel") == 0      ? cancel()
        : strcmp(what, "signals") == 0     ? signals()
        : strcmp(what, "hangup") == 0      ? hangup(atoi(arguments[2]))
        : strcmp(what, "race") == 0        ? race()
                                           : 2;
}
