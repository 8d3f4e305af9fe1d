/*
 * setsc(): one question to the dataplane, one answer.
 *
 * Theory of operation. The socket is duplicated for as long as the question takes, so that another thread that closes it and opens
 * something else cannot make us ask for the wrong one; the dataplane takes the duplicate by its number from this process, and tells the
 * socket's cookie in its answer, which must be ours. Each question has a connection of its own: nothing is shared by threads or kept
 * over a fork(). Everything has to be done by a deadline on the monotonic clock. The dataplane is told a little less time than there
 * is, so that the answer "the network is silent" still arrives. What is open is listed in a struct conversation, which is closed on
 * every way out, a cancelled thread's too.
 */
#define _GNU_SOURCE
#include "setsc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define DEFAULT_PATH    "/run/ondemand/od0.programs.sock"
#define DEFAULT_TIMEOUT 10000 /* milliseconds, as all times here */
#define LONGEST_TIMEOUT 60000
#define LONGEST_MARGIN  200   /* how much earlier than we the dataplane gives up, and for short timeouts a quarter */
#define REQUEST_SIZE    512

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

#define UNLIKE(ours, theirs) _Static_assert((ours) != (theirs), "Clashes with a result of getaddrinfo().")
#define NEW(theirs)                              \
    UNLIKE(EAI_REQUIREDIPNOTSUPPORTED, theirs); \
    UNLIKE(EAI_REQUIREDIPFAILED, theirs)

NEW(0);
NEW(EAI_AGAIN);
NEW(EAI_BADFLAGS);
NEW(EAI_FAIL);
NEW(EAI_FAMILY);
NEW(EAI_MEMORY);
NEW(EAI_NONAME);
NEW(EAI_OVERFLOW);
NEW(EAI_SERVICE);
NEW(EAI_SOCKTYPE);
NEW(EAI_SYSTEM);
#ifdef EAI_ADDRFAMILY
NEW(EAI_ADDRFAMILY);
#endif
#ifdef EAI_NODATA
NEW(EAI_NODATA);
#endif
#ifdef EAI_INPROGRESS
NEW(EAI_INPROGRESS);
NEW(EAI_CANCELED);
NEW(EAI_NOTCANCELED);
NEW(EAI_ALLDONE);
NEW(EAI_INTR);
NEW(EAI_IDN_ENCODE);
#endif

struct conversation {
    int held;       /* the duplicate of the program's socket, or -1 */
    int connection; /* to the dataplane, or -1 */
    int result;
    int64_t deadline;
    uint64_t cookie;
    size_t length;
    struct setsc_answer answer;
    char request[REQUEST_SIZE];
    char octets[SETSC_ANSWER_SIZE];
};

static const char *const type_names[] = {NULL, "fixed", "session-lasting", "nonpersistent", "graceful-replacement"};

static int64_t milliseconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int remaining(const struct conversation *with)
{
    int64_t left = with->deadline - milliseconds();
    return left > 0 ? (int)left : 0;
}

/* close() is a cancellation point itself, and a thread must not end between the two. */
static void hang_up(void *argument)
{
    struct conversation *with = argument;
    int before;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    if (with->connection >= 0) {
        (void)close(with->connection);
    }

    if (with->held >= 0) {
        (void)close(with->held);
    }

    (void)pthread_setcancelstate(before, &before);
}

/* Takes hold of the program's socket, if it is an IPv6 socket. */
static int hold(struct conversation *with, int sockfd)
{
    int domain = 0;
    socklen_t length = sizeof domain;
    with->held = fcntl(sockfd, F_DUPFD_CLOEXEC, 0);
    if (with->held < 0) {
        return errno == EINVAL ? EMFILE : errno;
    }

    if (getsockopt(with->held, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0) {
        return errno;
    }

    length = sizeof with->cookie;
    if (domain != AF_INET6) {
        return EAFNOSUPPORT;
    }

    return getsockopt(with->held, SOL_SOCKET, SO_COOKIE, &with->cookie, &length) == 0 ? 0 : errno;
}

static int place(struct sockaddr_un *name)
{
    const char *path = secure_getenv("ONDEMAND_PROGRAMS");
    if (path == NULL || *path == '\0') {
        path = DEFAULT_PATH;
    }

    size_t length = strlen(path);
    if (length >= sizeof name->sun_path) {
        return ENAMETOOLONG;
    }

    memset(name, 0, sizeof *name);
    name->sun_family = AF_UNIX;
    memcpy(name->sun_path, path, length + 1);
    return 0;
}

/* Connects; waits while more programs ask at this moment than the dataplane's queue holds, as the send timeout says (unix(7)). */
static int dial(struct conversation *with)
{
    struct sockaddr_un name;
    int result = place(&name);
    if (result != 0) {
        return result;
    }

    with->connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (with->connection < 0) {
        return errno;
    }

    for (;;) {
        int left = remaining(with);
        struct timeval limit = {left / 1000, left % 1000 * 1000};
        if (left == 0) {
            return EAI_REQUIREDIPFAILED;
        }

        if (setsockopt(with->connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
            return errno;
        }

        if (connect(with->connection, (const struct sockaddr *)&name, sizeof name) == 0) {
            return 0;
        }

        if (errno != EINTR && errno != EAGAIN) {
            return errno == ENOENT || errno == ENOTDIR || errno == ENOTSOCK || errno == EPROTOTYPE ? ECONNREFUSED : errno;
        }
    }
}

static int wait_for(struct conversation *with, short events)
{
    for (;;) {
        int left = remaining(with);
        struct pollfd about = {.fd = with->connection, .events = events};
        if (left == 0) {
            return EAI_REQUIREDIPFAILED;
        }

        int ready = poll(&about, 1, left);
        if (ready > 0) {
            return 0;
        }

        if (ready < 0 && errno != EINTR) {
            return errno;
        }
    }
}

/* A full or early refusal may stand in the answer even if the request could not be sent whole, so a broken pipe is no result yet. */
static int say(struct conversation *with)
{
    size_t length = strlen(with->request);
    for (size_t sent = 0; sent < length;) {
        ssize_t written = send(with->connection, with->request + sent, length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (written >= 0) {
            sent += (size_t)written;
        } else if (errno == EAGAIN) {
            int result = wait_for(with, POLLOUT);
            if (result != 0) {
                return result;
            }
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return 0;
        } else if (errno != EINTR) {
            return errno;
        }
    }

    return 0;
}

static int hear(struct conversation *with)
{
    for (;;) {
        /* The wait comes first, so that answers that come drop by drop end at the deadline too. */
        int result = wait_for(with, POLLIN);
        if (result != 0) {
            return result;
        }

        ssize_t got = recv(with->connection, with->octets + with->length, sizeof with->octets - with->length, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno == ECONNRESET)) {
            return ECONNRESET;
        }

        if (got < 0 && errno != EAGAIN && errno != EINTR) {
            return errno;
        }

        with->length += got > 0 ? (size_t)got : 0;
        switch (setsc_parse_answer(with->octets, with->length, &with->answer)) {
        case SETSC_COMPLETE:
            return 0;
        case SETSC_MALFORMED:
            return EPROTO;
        case SETSC_MORE:
            if (with->length == sizeof with->octets) {
                return EPROTO;
            }
        }
    }
}

static bool is(const struct setsc_text *text, const char *wanted)
{
    return text->present && !text->cut && strcmp(text->value, wanted) == 0;
}

/* What a problem (RFC 9457) says. */
static int problem(const struct setsc_answer *answer)
{
    static const struct {
        const char *name;
        int status, result;
    } problems[] = {
        {"urn:ondemand:problem:type-not-supported", 409, EAI_REQUIREDIPNOTSUPPORTED},
        {"urn:ondemand:problem:network-refused", 502, EAI_REQUIREDIPFAILED},
        {"urn:ondemand:problem:network-silent", 504, EAI_REQUIREDIPFAILED},
        {"urn:ondemand:problem:invalid-request", 400, EINVAL},
        {"urn:ondemand:problem:forbidden", 403, EACCES},
        {"urn:ondemand:problem:quota", 429, EDQUOT},
        {"urn:ondemand:problem:unknown-socket", 404, ENOTSOCK},
        {"urn:ondemand:problem:no-room", 503, ENOBUFS},
        {"urn:ondemand:problem:unavailable", 503, ECONNREFUSED},
    };
    for (size_t i = 0; answer->object && i < sizeof problems / sizeof problems[0]; i++) {
        if (is(&answer->type, problems[i].name)) {
            return answer->status == problems[i].status ? problems[i].result : EPROTO;
        }
    }

    return EPROTO;
}

static int ask(struct conversation *with)
{
    int result = dial(with);
    if (result == 0) {
        result = say(with);
    }

    return result == 0 ? hear(with) : result;
}

/* The address of a grant, if it is one for what was asked. */
static int granted(const struct conversation *with, sc_type type, struct in6_addr *address)
{
    char cookie[24];
    (void)snprintf(cookie, sizeof cookie, "%llu", (unsigned long long)with->cookie);
    const struct setsc_answer *answer = &with->answer;
    return answer->object && is(&answer->type, type_names[type]) && is(&answer->cookie, cookie) && answer->address.present
            && !answer->address.cut && inet_pton(AF_INET6, answer->address.value, address) == 1
            && !IN6_IS_ADDR_UNSPECIFIED(address) && !IN6_IS_ADDR_LOOPBACK(address) && !IN6_IS_ADDR_MULTICAST(address)
        ? 0
        : EPROTO;
}

static int set(struct conversation *with, int sockfd, struct in6_addr *address, sc_type type, const struct setsc_options *options)
{
    bool map = (options->flags & SETSC_MAP) != 0;
    int timeout = options->timeout == 0 ? DEFAULT_TIMEOUT : options->timeout > LONGEST_TIMEOUT ? LONGEST_TIMEOUT : options->timeout;
    with->deadline = milliseconds() + timeout;
    int result = hold(with, sockfd);
    if (result != 0) {
        return result;
    }

    int told = timeout - (timeout / 4 < LONGEST_MARGIN ? timeout / 4 : LONGEST_MARGIN);
    bool on_net = (options->flags & SETSC_ON_NET) != 0 || setsc_flag_get(with->cookie);
    char json[160];
    int length = snprintf(json, sizeof json, "{\"fd\":%d,\"type\":\"%s\",\"on-net\":%s,\"map\":%s,\"timeout\":%d.%03d}", with->held,
        type_names[type], on_net ? "true" : "false", map ? "true" : "false", told / 1000, told % 1000);
    (void)snprintf(with->request, sizeof with->request,
        "POST /v1/setsc HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
        length, json);
    result = ask(with);
    if (result != 0) {
        return result;
    }

    struct in6_addr found;
    result = with->answer.status == 200 ? granted(with, type, &found) : problem(&with->answer);
    int on = 1;
    if (result == 0 && !map && setsockopt(with->held, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on) != 0) {
        result = errno;
    }

    if (result == 0 && address != NULL) {
        *address = found;
    }

    return result;
}

static int release(struct conversation *with, int sockfd)
{
    with->deadline = milliseconds() + DEFAULT_TIMEOUT;
    int result = hold(with, sockfd);
    if (result != 0) {
        return result;
    }

    (void)snprintf(with->request, sizeof with->request, "DELETE /v1/bindings/%llu HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        (unsigned long long)with->cookie);
    result = ask(with);
    if (result != 0 || with->answer.status == 204) {
        return result;
    }

    result = problem(&with->answer);
    return result == ENOTSOCK ? ENOENT : result;   /* it is a socket, as we have just seen: what it has not is a binding */
}

int setsc_opts(int sockfd, struct in6_addr *sourceAddress, sc_type addressType, const struct setsc_options *options)
{
    int before = errno;
    struct setsc_options said = {sizeof said, 0, 0};
    if (options != NULL && options->size == sizeof said) {
        said = *options;
    } else if (options != NULL) {
        return EINVAL;
    }

    if (addressType < FIXED_IPV6_ADDRESS || addressType > GRACEFUL_REPLACEMENT_IPV6_ADDRESS
        || (said.flags & ~(SETSC_ON_NET | SETSC_MAP)) != 0 || said.timeout < 0
        || (sourceAddress == NULL && (said.flags & SETSC_MAP) == 0)) {
        return EINVAL;
    }

    struct conversation with = {.held = -1, .connection = -1};
    pthread_cleanup_push(hang_up, &with);
    with.result = set(&with, sockfd, sourceAddress, addressType, &said);
    pthread_cleanup_pop(1);
    errno = before;
    return with.result;
}

int setsc_release(int sockfd)
{
    int before = errno;
    struct conversation with = {.held = -1, .connection = -1};
    pthread_cleanup_push(hang_up, &with);
    with.result = release(&with, sockfd);
    pthread_cleanup_pop(1);
    errno = before;
    return with.result;
}

int setsc(int sockfd, struct in6_addr *sourceAddress, sc_type addressType)
{
    return setsc_opts(sockfd, sourceAddress, addressType, NULL);
}

int setsc_timeout(int sockfd, struct in6_addr *sourceAddress, sc_type addressType, int timeout)
{
    const struct setsc_options options = {sizeof options, 0, timeout};
    return setsc_opts(sockfd, sourceAddress, addressType, &options);
}

int setsc_map(int sockfd, struct in6_addr *sourceAddress, sc_type addressType)
{
    const struct setsc_options options = {sizeof options, SETSC_MAP, 0};
    return setsc_opts(sockfd, sourceAddress, addressType, &options);
}

const char *setsc_strerror(int result)
{
    switch (result) {
    case 0:
        return "The socket has its address.";
    case EAI_REQUIREDIPNOTSUPPORTED:
        return "Addresses of this type are not offered here.";
    case EAI_REQUIREDIPFAILED:
        return "The network refused an address of this type, or did not answer in time.";
    case EINVAL:
        return "The address type is reserved, or an argument is wrong.";
    case EBADF:
        return "The descriptor is not open.";
    case ENOTSOCK:
        return "The descriptor is not a socket that the dataplane could find.";
    case EAFNOSUPPORT:
        return "The socket is not an IPv6 socket.";
    case EACCES:
        return "This user or program may not have an address of this type, or may not use the dataplane.";
    case EDQUOT:
        return "This user has all the addresses, prefixes or requests per minute that it may have.";
    case ENOBUFS:
        return "The dataplane has no room for another request.";
    case ECONNREFUSED:
        return "No dataplane runs here.";
    case ECONNRESET:
        return "The dataplane ended the conversation before it had answered.";
    case EPROTO:
        return "The dataplane's answer was not understood, or was not what had been asked for.";
    case ENOENT:
        return "The socket has no typed address.";
    case ENAMETOOLONG:
        return "ONDEMAND_PROGRAMS is too long for the path of a socket.";
    case EMFILE:
        return "The program has too many descriptors open.";
    case ENFILE:
        return "The host has too many files open.";
    case ENOMEM:
        return "There is not enough memory.";
    default:
        return "An error of the system that is not one of setsc()'s own.";
    }
}
