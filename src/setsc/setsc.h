/*
 * setsc.h: say per socket what its address has to promise (RFC 8653, Appendix A; draft-ietf-dmm-ondemand-mobility-17, sections 3.4 and 6).
 *
 * The functions ask the OnDemand dataplane on this host over its programs' socket. They may block while the network is asked for a
 * prefix, never longer than their timeout. All are thread-safe, keep no descriptor open, raise no signal, and leave errno alone unless
 * said otherwise. A thread may be cancelled while it waits; nothing leaks then.
 *
 * Environment: ONDEMAND_PROGRAMS is the path of the programs' socket, default /run/ondemand/od0.programs.sock. It is not believed in
 * set-user-ID programs.
 */
#ifndef SETSC_H
#define SETSC_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#if defined(__GNUC__)
#define SETSC_API __attribute__((visibility("default")))
#else
#define SETSC_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What an address promises (draft-17, section 6.1). Wider than the three bits of the draft, so that a wrong value is seen, not cut. */
typedef unsigned int sc_type;

#define FIXED_IPV6_ADDRESS                1 /* stays for a very long time, whether used or not: reachable, may stand in the DNS */
#define SESSION_LASTING_IPV6_ADDRESS      2 /* stays for the life of the socket, wherever the host moves */
#define NON_PERSISTENT_IPV6_ADDRESS       3 /* may vanish with the next move */
#define GRACEFUL_REPLACEMENT_IPV6_ADDRESS 4 /* is replaced at a move, and both are valid for a while */

/*
 * Results. The functions below return 0, one of these two, or a positive errno value:
 *   EINVAL        type 0 or 5 to 7 (reserved) or above, a null pointer, a negative timeout, an unknown option
 *   EBADF         sockfd is not an open descriptor
 *   ENOTSOCK      sockfd is not a socket, or not one the dataplane could find
 *   EAFNOSUPPORT  sockfd is not an IPv6 socket
 *   EACCES        this user or program may not have this type of address, or may not use the dataplane
 *   EDQUOT        this user has all the addresses, prefixes or requests per minute that it may have
 *   ENOBUFS       the dataplane has no room for another request or binding
 *   ECONNREFUSED  no dataplane runs here
 *   ECONNRESET    the dataplane ended the conversation before its answer was complete
 *   EPROTO        the dataplane's answer was not understood, or was not what had been asked for
 *   ENOENT        setsc_release() only: the socket has no typed address
 *   ENAMETOOLONG  ONDEMAND_PROGRAMS is too long for a socket's path
 *   EMFILE, ENFILE, ENOMEM   as from socket(2)
 * A timeout is EAI_REQUIREDIPFAILED, whether the dataplane saw it or this library: the address did not come in time.
 */
#define EAI_REQUIREDIPNOTSUPPORTED (-201) /* the host or the network does not offer this type */
#define EAI_REQUIREDIPFAILED       (-202) /* the network refused, or did not answer in time */

/*
 * Gets an address of the given type for an IPv6 socket that is not bound yet, and allows the socket to bind() to it, since typed
 * addresses stand on no interface (IPV6_FREEBIND is set). The address is used only after bind(); without it the socket keeps the
 * source address that its RFC 5014 preferences select (draft-17, section 5.4). A request is met exactly or fails: no other type is
 * given instead. Waits for at most ten seconds. *sourceAddress is written on success only.
 */
SETSC_API int setsc(int sockfd, struct in6_addr *sourceAddress, sc_type addressType);

/* setsc() with a timeout in milliseconds; 0 is the default of 10,000, more than 60,000 counts as 60,000. */
SETSC_API int setsc_timeout(int sockfd, struct in6_addr *sourceAddress, sc_type addressType, int timeout);

/*
 * As setsc(), without a bind(): the dataplane gives the socket's packets an address of this type on their way, and the program goes on
 * as if nothing had happened. Socket options are not touched. sourceAddress may be null; it tells the address that others see.
 */
SETSC_API int setsc_map(int sockfd, struct in6_addr *sourceAddress, sc_type addressType);

/* Takes back what setsc() or setsc_map() got for this socket. close() does that too. */
SETSC_API int setsc_release(int sockfd);

#define SETSC_ON_NET 1u /* ask the serving network for a new prefix even if one of this type is at hand (see IPV6_REQUIRE_SRC_ON_NET) */
#define SETSC_MAP    2u /* as setsc_map() */

struct setsc_options {
    size_t size;        /* sizeof(struct setsc_options) */
    unsigned int flags; /* SETSC_ON_NET, SETSC_MAP */
    int timeout;        /* milliseconds; 0 is the default, as in setsc_timeout() */
};

/* setsc() with all that can be said; options may be null. */
SETSC_API int setsc_opts(int sockfd, struct in6_addr *sourceAddress, sc_type addressType, const struct setsc_options *options);

/* A sentence for any result of these functions; never null, never to be freed. */
SETSC_API const char *setsc_strerror(int result);

/* Source address preferences (RFC 5014), in case the C library does not name them. */
#ifndef IPV6_ADDR_PREFERENCES
#define IPV6_ADDR_PREFERENCES 72
#endif

/*
 * Flags for IPV6_ADDR_PREFERENCES that Linux does not know, outside of the bits that it uses (0x0d0f). It would ignore them without a
 * word, so setsc_setsockopt() keeps them from it.
 *
 * IPV6_REQUIRE_SRC_ON_NET (draft-17, section 6.2) is remembered, and holds for every following setsc() on this socket until
 * IPV6_ADDR_PREFERENCES is set without it. The others are the names from the first talks on the draft; each is a request at once, as by
 * setsc_map(), with the default timeout. At most one of them.
 */
#define IPV6_REQUIRE_SRC_ON_NET      0x00010000
#define IPV6_REQUIRE_HOME_ANCHORED   0x00020000 /* a fixed address */
#define IPV6_REQUIRE_ACCESS_ANCHORED 0x00040000 /* a session-lasting address */
#define IPV6_REQUIRE_UNANCHORED      0x00080000 /* a nonpersistent address */

/*
 * setsockopt(2) for a program that uses these flags: hands everything else to the kernel, and refuses contradictions as the kernel
 * does. Returns 0, or -1 with errno: of setsockopt(2), of the list above, EOPNOTSUPP for EAI_REQUIREDIPNOTSUPPORTED, or EADDRNOTAVAIL
 * for EAI_REQUIREDIPFAILED. When a request fails the ordinary preferences of the same call are set nevertheless.
 *
 * The kernel uses the ordinary preferences where it chooses; where the dataplane chooses it reads them from the socket when a flow begins,
 * if neither the socket nor policy asks for a type. So they also hold for a socket that sends from an internal address.
 *
 * Flags are remembered by the kernel's cookie of the socket, so a descriptor that is closed and used again starts without them, and one
 * that is duplicated or inherited keeps them. The memory is bounded: among thousands of sockets with flags the oldest is forgotten.
 */
SETSC_API int setsc_setsockopt(int sockfd, int level, int optname, const void *optval, socklen_t optlen);

/* getsockopt(2), which adds IPV6_REQUIRE_SRC_ON_NET to IPV6_ADDR_PREFERENCES if it is set. */
SETSC_API int setsc_getsockopt(int sockfd, int level, int optname, void *optval, socklen_t *optlen);

#ifdef __cplusplus
}
#endif

#endif
