/*
 * setsc_setsockopt(): the flags that the kernel does not know.
 *
 * Theory of operation. The kernel's cookie of a socket is unique for the life of the host, so what is remembered under a cookie can
 * never be taken for another socket's, and nothing has to be forgotten when a descriptor is closed. The memory is a table of fixed size
 * of atomic words, one a socket: no lock that a fork() could leave held in the child, no allocation. A socket's place is one of the
 * words of its row; when a row is full, the oldest socket in it (cookies grow) is forgotten.
 */
#define _GNU_SOURCE
#include "internal.h"
#include "setsc.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

/* The kernel's own flags (linux/in6.h), for contradictions with which no request must be made. */
#define TMP            0x0001
#define PUBLIC         0x0002
#define COA            0x0004
#define CGA            0x0008
#define PUBTMP_DEFAULT 0x0100
#define HOME           0x0400
#define NONCGA         0x0800

#define ANCHORS (IPV6_REQUIRE_HOME_ANCHORED | IPV6_REQUIRE_ACCESS_ANCHORED | IPV6_REQUIRE_UNANCHORED)
#define OURS    (IPV6_REQUIRE_SRC_ON_NET | ANCHORS)

_Static_assert((OURS & (TMP | PUBLIC | COA | CGA | PUBTMP_DEFAULT | HOME | NONCGA)) == 0, "Our flags are none of the kernel's.");

#define ROWS  512u
#define PLACES 8u

static _Atomic uint64_t remembered[ROWS][PLACES];

static _Atomic uint64_t *row(uint64_t cookie)
{
    /* Cookies are dealt out in runs, one to each processor; the golden ratio spreads them (Fibonacci hashing). */
    return remembered[(cookie * 0x9e3779b97f4a7c15u) >> 55];
}

_Static_assert(ROWS == 1u << (64 - 55), "A row for every value of the nine highest bits.");

bool setsc_flag_get(uint64_t cookie)
{
    _Atomic uint64_t *places = row(cookie);
    for (unsigned int i = 0; i < PLACES; i++) {
        if (atomic_load(&places[i]) == cookie) {
            return true;
        }
    }

    return false;
}

static void forget(uint64_t cookie)
{
    _Atomic uint64_t *places = row(cookie);
    for (unsigned int i = 0; i < PLACES; i++) {
        uint64_t expected = cookie;
        (void)atomic_compare_exchange_strong(&places[i], &expected, 0);
    }
}

static void remember(uint64_t cookie)
{
    _Atomic uint64_t *places = row(cookie);
    while (!setsc_flag_get(cookie)) {
        unsigned int oldest = 0;
        uint64_t lowest = UINT64_MAX;
        for (unsigned int i = 0; i < PLACES; i++) {
            uint64_t held = atomic_load(&places[i]);
            if (held < lowest) {
                lowest = held;   /* zero, a free place, is the lowest of all */
                oldest = i;
            }
        }

        if (atomic_compare_exchange_strong(&places[oldest], &lowest, cookie)) {
            return;
        }
    }
}

void setsc_flag_set(uint64_t cookie, bool on)
{
    if (on) {
        remember(cookie);
    } else {
        forget(cookie);
    }
}

static bool several(int flags)
{
    return (flags & (flags - 1)) != 0;
}

static bool contradict(int flags)
{
    return several(flags & ANCHORS) || several(flags & (TMP | PUBLIC | PUBTMP_DEFAULT)) || several(flags & (HOME | COA))
        || several(flags & (CGA | NONCGA));
}

static int refused(int error)
{
    errno = error == EAI_REQUIREDIPNOTSUPPORTED ? EOPNOTSUPP : error == EAI_REQUIREDIPFAILED ? EADDRNOTAVAIL : error;
    return -1;
}

static bool cookie_of(int sockfd, uint64_t *cookie)
{
    socklen_t length = sizeof *cookie;
    return getsockopt(sockfd, SOL_SOCKET, SO_COOKIE, cookie, &length) == 0;
}

static int set_preferences(int sockfd, int flags)
{
    uint64_t cookie;
    int ordinary = flags & ~OURS;
    if (contradict(flags)) {
        return refused(EINVAL);
    }

    if (setsockopt(sockfd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &ordinary, sizeof ordinary) != 0 || !cookie_of(sockfd, &cookie)) {
        return -1;
    }

    setsc_flag_set(cookie, (flags & IPV6_REQUIRE_SRC_ON_NET) != 0);
    if ((flags & ANCHORS) == 0) {
        return 0;
    }

    int result = setsc_map(sockfd, NULL, (flags & IPV6_REQUIRE_HOME_ANCHORED) != 0 ? FIXED_IPV6_ADDRESS
                                           : (flags & IPV6_REQUIRE_ACCESS_ANCHORED) != 0 ? SESSION_LASTING_IPV6_ADDRESS
                                                                                         : NON_PERSISTENT_IPV6_ADDRESS);
    return result == 0 ? 0 : refused(result);
}

int setsc_setsockopt(int sockfd, int level, int optname, const void *optval, socklen_t optlen)
{
    if (level == IPPROTO_IPV6 && optname == IPV6_ADDR_PREFERENCES && optval != NULL && optlen >= sizeof(int)) {
        int flags;
        memcpy(&flags, optval, sizeof flags);
        return set_preferences(sockfd, flags);
    }

    return setsockopt(sockfd, level, optname, optval, optlen);
}

int setsc_getsockopt(int sockfd, int level, int optname, void *optval, socklen_t *optlen)
{
    uint64_t cookie;
    int result = getsockopt(sockfd, level, optname, optval, optlen);
    if (result == 0 && level == IPPROTO_IPV6 && optname == IPV6_ADDR_PREFERENCES && *optlen == sizeof(int) && cookie_of(sockfd, &cookie)
        && setsc_flag_get(cookie)) {
        int flags;
        memcpy(&flags, optval, sizeof flags);
        flags |= IPV6_REQUIRE_SRC_ON_NET;
        memcpy(optval, &flags, sizeof flags);
    }

    return result;
}
