/* What the parts of libsetsc say to each other; not installed. */
#ifndef SETSC_INTERNAL_H
#define SETSC_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A whole answer, headers and all, must fit; real ones have some 500 octets. */
#define SETSC_ANSWER_SIZE 8192

/* A string of the answer's body that matters. */
struct setsc_text {
    bool present;
    bool cut; /* it did not fit, or held a character outside of ASCII: equal to nothing */
    char value[128];
};

struct setsc_answer {
    int status;
    bool object; /* the body is a JSON object, and the texts are its members */
    struct setsc_text address, type, cookie;
};

enum setsc_parse { SETSC_MORE, SETSC_COMPLETE, SETSC_MALFORMED };

/* Reads an HTTP/1.1 answer as far as it has come. A chunked body is joined in place once the answer is complete. */
enum setsc_parse setsc_parse_answer(char *octets, size_t length, struct setsc_answer *answer);

/* Reads a JSON text (RFC 8259) that must be one object, and takes the texts from its outermost members. */
bool setsc_parse_object(const char *text, size_t length, struct setsc_answer *answer);

/* Whether IPV6_REQUIRE_SRC_ON_NET is remembered for the socket. */
bool setsc_flag_get(uint64_t cookie);
void setsc_flag_set(uint64_t cookie, bool on);

#endif
