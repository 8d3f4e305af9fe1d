/*
 * The answer: HTTP/1.1 (RFC 9112), read strictly. It is read again from the start whenever more has come, which is simple and, with at
 * most SETSC_ANSWER_SIZE octets, cheap. What is not exactly understood is malformed: nothing is guessed.
 */
#include "internal.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

/* How the length of the body is told. */
struct framing {
    bool has_length, chunked, json;
    size_t length;
};

/* The line that starts at the given place, without its CR LF; the next one starts at *next. */
static enum setsc_parse line(const char *octets, size_t length, size_t start, size_t *end, size_t *next)
{
    for (size_t i = start; i < length; i++) {
        unsigned char c = (unsigned char)octets[i];
        if (c == '\r') {
            if (i + 1 == length) {
                return SETSC_MORE;
            }

            *end = i;
            *next = i + 2;
            return octets[i + 1] == '\n' ? SETSC_COMPLETE : SETSC_MALFORMED;
        }

        if (c != '\t' && (c < 0x20 || c == 0x7f)) {
            return SETSC_MALFORMED;
        }
    }

    return SETSC_MORE;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool status_line(const char *text, size_t length, int *status)
{
    if (length < 12 || memcmp(text, "HTTP/1.", 7) != 0 || (text[7] != '0' && text[7] != '1') || text[8] != ' '
        || !digit(text[9]) || !digit(text[10]) || !digit(text[11]) || (length > 12 && text[12] != ' ')) {
        return false;
    }

    *status = (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
    return *status >= 200 && *status <= 599;   /* nothing was asked that an interim answer could be given to */
}

static bool token(char c)
{
    return digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool same(const char *text, size_t length, const char *wanted)
{
    return length == strlen(wanted) && strncasecmp(text, wanted, length) == 0;
}

static bool content_length(const char *text, size_t length, struct framing *framing)
{
    size_t sum = 0;
    if (length == 0 || framing->has_length) {
        return false;
    }

    for (size_t i = 0; i < length; i++) {
        if (!digit(text[i]) || sum > SETSC_ANSWER_SIZE) {
            return false;
        }

        sum = sum * 10 + (size_t)(text[i] - '0');
    }

    framing->has_length = true;
    framing->length = sum;
    return sum <= SETSC_ANSWER_SIZE;
}

static bool media_type(const char *text, size_t length)
{
    size_t end = 0;
    while (end < length && text[end] != ';' && text[end] != ' ' && text[end] != '\t') {
        end++;
    }

    return same(text, end, "application/json") || same(text, end, "application/problem+json");
}

static bool header(const char *text, size_t length, struct framing *framing)
{
    size_t colon = 0;
    while (colon < length && token(text[colon])) {
        colon++;
    }

    if (colon == 0 || colon == length || text[colon] != ':') {
        return false;
    }

    size_t start = colon + 1, end = length;
    while (start < end && (text[start] == ' ' || text[start] == '\t')) {
        start++;
    }

    while (end > start && (text[end - 1] == ' ' || text[end - 1] == '\t')) {
        end--;
    }

    if (same(text, colon, "Content-Length")) {
        return content_length(text + start, end - start, framing);
    }

    if (same(text, colon, "Transfer-Encoding")) {
        bool first = !framing->chunked;
        framing->chunked = true;
        return first && same(text + start, end - start, "chunked");
    }

    if (same(text, colon, "Content-Type")) {
        framing->json = media_type(text + start, end - start);
    }

    return true;
}

static bool chunk_size(const char *text, size_t length, size_t *size)
{
    size_t i = 0;
    *size = 0;
    for (; i < length && text[i] != ';'; i++) {
        char c = text[i];
        unsigned int digits = digit(c) ? (unsigned int)(c - '0')
            : c >= 'a' && c <= 'f'     ? (unsigned int)(c - 'a') + 10
            : c >= 'A' && c <= 'F'     ? (unsigned int)(c - 'A') + 10
                                       : 16;
        if (digits == 16 || *size > SETSC_ANSWER_SIZE) {
            return false;
        }

        *size = *size * 16 + digits;
    }

    return i > 0 && *size <= SETSC_ANSWER_SIZE;
}

/*
 * Walks over the chunks from start; with join given, also moves them together there. Two walks, since nothing may be moved before the
 * end has come: the octets are read again from the start until then.
 */
static enum setsc_parse chunks(char *octets, size_t length, size_t start, size_t *body, bool join)
{
    size_t at = start, end, next, size;
    *body = 0;
    for (;;) {
        enum setsc_parse read = line(octets, length, at, &end, &next);
        if (read != SETSC_COMPLETE) {
            return read;
        }

        if (!chunk_size(octets + at, end - at, &size)) {
            return SETSC_MALFORMED;
        }

        at = next;
        if (size == 0) {
            break;
        }

        if (length - at < size + 2) {
            return SETSC_MORE;
        }

        if (octets[at + size] != '\r' || octets[at + size + 1] != '\n') {
            return SETSC_MALFORMED;
        }

        if (join) {
            memmove(octets + start + *body, octets + at, size);
        }

        *body += size;
        at += size + 2;
    }

    for (struct framing trailers = {0};;) {
        enum setsc_parse read = line(octets, length, at, &end, &next);
        if (read != SETSC_COMPLETE || end == at) {
            return read;
        }

        if (!header(octets + at, end - at, &trailers) || trailers.has_length || trailers.chunked) {
            return SETSC_MALFORMED;
        }

        at = next;
    }
}

static enum setsc_parse body(char *octets, size_t length, size_t start, const struct framing *framing, struct setsc_answer *answer)
{
    size_t size = framing->length;
    if (answer->status == 204) {
        return framing->chunked || size != 0 ? SETSC_MALFORMED : SETSC_COMPLETE;
    }

    if (framing->chunked == framing->has_length) {
        return SETSC_MALFORMED;   /* told in both ways, or in none */
    }

    if (framing->chunked) {
        enum setsc_parse read = chunks(octets, length, start, &size, false);
        if (read != SETSC_COMPLETE) {
            return read;
        }

        (void)chunks(octets, length, start, &size, true);
    } else if (length - start < size) {
        return SETSC_MORE;
    }

    answer->object = framing->json && setsc_parse_object(octets + start, size, answer);
    return SETSC_COMPLETE;
}

enum setsc_parse setsc_parse_answer(char *octets, size_t length, struct setsc_answer *answer)
{
    struct framing framing = {0};
    size_t end, next;
    memset(answer, 0, sizeof *answer);
    enum setsc_parse read = line(octets, length, 0, &end, &next);
    if (read != SETSC_COMPLETE) {
        return read;
    }

    if (!status_line(octets, end, &answer->status)) {
        return SETSC_MALFORMED;
    }

    for (size_t at = next;; at = next) {
        read = line(octets, length, at, &end, &next);
        if (read != SETSC_COMPLETE) {
            return read;
        }

        if (end == at) {
            return body(octets, length, next, &framing, answer);
        }

        if (!header(octets + at, end - at, &framing)) {
            return SETSC_MALFORMED;
        }
    }
}
