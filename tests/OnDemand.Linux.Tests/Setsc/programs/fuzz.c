/*
 * Gives the answer's parser random octets and mutated answers, each in an allocation of exactly its size, so that the address
 * sanitizer sees the first octet read too far; and each cut at every place, where the parser must ask for more or refuse.
 *
 *   fuzz COUNT SEED
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static uint64_t state;

static unsigned int draw(unsigned int below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned int)(state >> 33) % below;
}

static const char *const seeds[] = {
    "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 97\r\nConnection: close\r\n\r\n"
    "{\"cookie\":\"12\",\"address\":\"2001:db8::1\",\"type\":\"fixed\",\"preferred\":1800.0,\"valid\":null,\"map\":true}",
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    "1d\r\n{\"cookie\":\"12\",\"type\":\"fixed\"\r\n1d;x=y\r\n,\"address\":\"2001:db8::\\u0031\"\r\n1\r\n}\r\n0\r\nTrailer: 1\r\n\r\n",
    "HTTP/1.1 409 Conflict\r\ncontent-type: application/problem+json\r\ncontent-length: 82\r\n\r\n"
    "{\"type\":\"urn:ondemand:problem:type-not-supported\",\"status\":409,\"x\":[{\"y\":[-1e9]}]}",
    "HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n",
};

static size_t mutated(char *octets, size_t room)
{
    static const char *const parts[] = {"\r\n", "\r", "{", "}", "[", "]", "\"", "\\u0000", "\\", ",", ":", "0", "ffffffffffffffff", "-", "chunked",
        "Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n", "99999999999999999999", "\xff", "null", "\"type\":\"fixed\","};
    const char *seed = seeds[draw(4)];
    size_t length = strlen(seed);
    memcpy(octets, seed, length);
    for (unsigned int i = draw(6); i > 0; i--) {
        size_t at = draw((unsigned int)length + 1);
        const char *part = parts[draw(sizeof parts / sizeof parts[0])];
        size_t more = strlen(part), gone = draw(4) == 0 ? draw((unsigned int)(length - at) + 1) : 0;
        if (length + more > room) {
            break;
        }

        memmove(octets + at, octets + at + gone, length - at - gone);
        length -= gone;
        memmove(octets + at + more, octets + at, length - at);
        memcpy(octets + at, part, more);
        length += more;
    }

    return length;
}

static size_t noise(char *octets, size_t room)
{
    size_t length = draw((unsigned int)room), head = draw(2) == 0 ? 17 : 0;
    for (size_t i = 0; i < length; i++) {
        octets[i] = (char)draw(256);
    }

    if (length >= head) {
        memcpy(octets, "HTTP/1.1 200 OK\r\n", head);
    }

    return length;
}

static enum setsc_parse parse(const char *octets, size_t length, struct setsc_answer *answer)
{
    char *exact = malloc(length == 0 ? 1 : length);
    if (exact == NULL) {
        exit(3);
    }

    memcpy(exact, octets, length);
    enum setsc_parse result = setsc_parse_answer(exact, length, answer);
    free(exact);
    return result;
}

int main(int count, char **arguments)
{
    char octets[2048];
    unsigned long tally[3] = {0};
    long rounds = count > 1 ? atol(arguments[1]) : 1000;
    state = count > 2 ? strtoull(arguments[2], NULL, 0) | 1 : 1;
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        struct setsc_answer answer;
        if (parse(seeds[i], strlen(seeds[i]), &answer) != SETSC_COMPLETE || answer.object != (answer.status != 204)) {
            printf("seed %zu is not a good answer\n", i);
            return 1;
        }
    }

    for (long round = 0; round < rounds; round++) {
        struct setsc_answer answer, cut;
        size_t length = draw(3) == 0 ? noise(octets, 600) : mutated(octets, sizeof octets);
        enum setsc_parse whole = parse(octets, length, &answer);
        tally[whole]++;
        int ended = 0;
        for (size_t part = 0; part < length; part++) {
            enum setsc_parse so_far = parse(octets, part, &cut);
            if (ended && so_far == SETSC_MORE) {
                printf("round %ld: decided, and then asks for more at %zu\n", round, part);
                return 1;
            }

            ended = so_far != SETSC_MORE;
            if (so_far == SETSC_COMPLETE && whole == SETSC_COMPLETE && cut.status != answer.status) {
                printf("round %ld: another status at %zu\n", round, part);
                return 1;
            }
        }

        if (ended && whole == SETSC_MORE) {
            printf("round %ld: decided, and then asks for more\n", round);
            return 1;
        }
    }

    printf("more=%lu\ncomplete=%lu\nmalformed=%lu\n", tally[SETSC_MORE], tally[SETSC_COMPLETE], tally[SETSC_MALFORMED]);
    return 0;
}
