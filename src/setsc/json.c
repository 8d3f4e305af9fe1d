/*
 * The answer's body: JSON (RFC 8259), read strictly, once, without allocation. Only strings of the outermost object are kept; the
 * rest is checked and passed over. Depth is bounded, so that no input can exhaust the stack.
 */
#include "internal.h"

#include <string.h>

#define DEEPEST 16

struct cursor {
    const char *at, *end;
};

static bool value(struct cursor *in, int depth, struct setsc_answer *answer);

static void blank(struct cursor *in)
{
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r')) {
        in->at++;
    }
}

static bool accept(struct cursor *in, char wanted)
{
    if (in->at < in->end && *in->at == wanted) {
        in->at++;
        return true;
    }

    return false;
}

static bool word(struct cursor *in, const char *wanted)
{
    size_t length = strlen(wanted);
    if ((size_t)(in->end - in->at) < length || memcmp(in->at, wanted, length) != 0) {
        return false;
    }

    in->at += length;
    return true;
}

static bool digits(struct cursor *in)
{
    const char *start = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9') {
        in->at++;
    }

    return in->at > start;
}

static bool number(struct cursor *in)
{
    accept(in, '-');
    if (!accept(in, '0') && !digits(in)) {
        return false;
    }

    if (accept(in, '.') && !digits(in)) {
        return false;
    }

    if (accept(in, 'e') || accept(in, 'E')) {
        if (!accept(in, '+')) {
            accept(in, '-');
        }

        return digits(in);
    }

    return true;
}

static bool hexadecimal(struct cursor *in, unsigned int *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++) {
        if (in->at == in->end) {
            return false;
        }

        char c = *in->at++;
        unsigned int digit;
        if (c >= '0' && c <= '9') {
            digit = (unsigned int)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = (unsigned int)(c - 'a') + 10;
        } else if (c >= 'A' && c <= 'F') {
            digit = (unsigned int)(c - 'A') + 10;
        } else {
            return false;
        }

        *code = (*code << 4) | digit;
    }

    return true;
}

/* One escape sequence after its backslash. */
static bool escape(struct cursor *in, unsigned int *code)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (in->at == in->end) {
        return false;
    }

    char c = *in->at++;
    if (c == 'u') {
        return hexadecimal(in, code);
    }

    const char *found = c == '\0' ? NULL : strchr(names, c);
    if (found == NULL) {
        return false;
    }

    *code = (unsigned char)meanings[found - names];
    return true;
}

static bool string(struct cursor *in, struct setsc_text *text)
{
    size_t length = 0;
    if (!accept(in, '"')) {
        return false;
    }

    text->present = true;
    text->cut = false;
    while (in->at < in->end) {
        unsigned int code = (unsigned char)*in->at++;
        if (code == '"') {
            text->value[length] = '\0';
            return true;
        }

        if (code < 0x20) {
            return false;
        }

        if (code == '\\' && !escape(in, &code)) {
            return false;
        }

        if (code == 0 || code > 0x7e || length + 1 == sizeof text->value) {
            text->cut = true;
        } else if (!text->cut) {
            text->value[length++] = (char)code;
        }
    }

    return false;
}

static bool array(struct cursor *in, int depth)
{
    blank(in);
    if (accept(in, ']')) {
        return true;
    }

    do {
        if (!value(in, depth + 1, NULL)) {
            return false;
        }
    } while (accept(in, ','));
    return accept(in, ']');
}

/* The member of the answer that has this name, if it is one that matters. */
static struct setsc_text *wanted(struct setsc_answer *answer, const struct setsc_text *name)
{
    if (answer == NULL || name->cut) {
        return NULL;
    }

    return strcmp(name->value, "address") == 0 ? &answer->address
        : strcmp(name->value, "type") == 0     ? &answer->type
        : strcmp(name->value, "cookie") == 0   ? &answer->cookie
                                               : NULL;
}

static bool member(struct cursor *in, int depth, struct setsc_answer *answer)
{
    struct setsc_text name;
    blank(in);
    if (!string(in, &name)) {
        return false;
    }

    blank(in);
    if (!accept(in, ':')) {
        return false;
    }

    struct setsc_text *kept = wanted(answer, &name);
    if (kept == NULL) {
        return value(in, depth + 1, NULL);
    }

    blank(in);
    if (kept->present || in->at == in->end || *in->at != '"') {
        return false;   /* said twice, or not with a string */
    }

    bool whole = string(in, kept);
    blank(in);
    return whole;
}

static bool object(struct cursor *in, int depth, struct setsc_answer *answer)
{
    blank(in);
    if (accept(in, '}')) {
        return true;
    }

    do {
        if (!member(in, depth, answer)) {
            return false;
        }
    } while (accept(in, ','));
    return accept(in, '}');
}

/* Any value with the blanks around it; answer is given for the outermost one only. */
static bool value(struct cursor *in, int depth, struct setsc_answer *answer)
{
    struct setsc_text passed;
    if (depth > DEEPEST) {
        return false;
    }

    blank(in);
    if (in->at == in->end) {
        return false;
    }

    bool good = accept(in, '{')                ? object(in, depth, answer)
        : accept(in, '[')                      ? array(in, depth)
        : *in->at == '"'                       ? string(in, &passed)
        : *in->at == 't'                       ? word(in, "true")
        : *in->at == 'f'                       ? word(in, "false")
        : *in->at == 'n'                       ? word(in, "null")
                                               : number(in);
    blank(in);
    return good;
}

bool setsc_parse_object(const char *text, size_t length, struct setsc_answer *answer)
{
    struct cursor in = {text, text + length};
    blank(&in);
    return in.at < in.end && *in.at == '{' && value(&in, 0, answer) && in.at == in.end;
}
