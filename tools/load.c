/* Send HTTP requests to a server on this machine, and print one JSON object about the answers.

       cc -O2 -o load tools/load.c
       ./load [-c CONNECTIONS] [-n REQUESTS] [-t SECONDS] [-r RATE] [-w SECONDS] [-o FILE] \
              [-a HEADER] PORT PATH BODIES

   BODIES is a file with a JSON body in each line. They are sent in turn by POST to 127.0.0.1, on
   connections that are kept (-c, 32). Without -r, a connection sends its next request as soon as it
   has an answer. With -r, requests are due at this rate a second, whatever the server does, and a
   request that finds no free connection waits here; its latency counts from when it was due. It
   stops after -n requests or -t seconds, and waits at most -w seconds (60) for the last answers.

   Printed: requests sent, answered, and lost (their connection ended, or no answer came in time),
   bytes that belong to no answer, seconds to the last answer, answers a second, by how many
   milliseconds the latest request was sent late, and for each status the count and the latencies.
   -o FILE keeps a line for each answer: number of the request (body: modulo the lines), status,
   microseconds when it was due and until its last byte, and the body. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STATUSES = 600, EVENTS = 256 };

/* A connection, and the request that it carries; `request` is -1 while it carries none. */
typedef struct {
    int socket;
    long request;
    long long due;
    size_t written;    /* bytes of the request */
    char *answer;      /* bytes that came for it */
    size_t came, room;
    size_t head, body; /* bytes of the header; of the body, once the header is complete */
    int status, chunked, closes;
} Connection;

typedef struct {
    long long *values;
    long count, room;
} Latencies;

static struct {
    char *bytes;
    size_t length;
} *requests; /* header and body, ready to be sent */

static long body_count, connection_count = 32, stop_after = -1;
static double stop_seconds = -1, rate = 0, last_wait = 60;
static int port, poll_set;
static Connection *connections;
static Latencies latencies[STATUSES];
static FILE *kept;

static long sent, answered, lost, extra;
static long long began, last_answer, latest;

static void fail(const char *form, ...) {
    va_list values;
    va_start(values, form);
    vfprintf(stderr, form, values);
    va_end(values);
    fputc('\n', stderr);
    exit(2);
}

static void *grown(void *memory, size_t bytes) {
    memory = realloc(memory, bytes);
    if (!memory) fail("There is no memory for %zu bytes.", bytes);
    return memory;
}

/* Microseconds of a clock that only goes forward. */
static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static void read_bodies(const char *file, const char *path, const char *header) {
    FILE *lines = fopen(file, "r");
    if (!lines) fail("%s: %s.", file, strerror(errno));
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    while ((length = getline(&line, &room, lines)) > 0) {
        if (line[length - 1] == '\n') length--;
        if (!length) continue;
        requests = grown(requests, (body_count + 1) * sizeof *requests);
        char *bytes = grown(NULL, strlen(path) + strlen(header) + length + 256);
        int head = sprintf(bytes,
                           "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                           "Content-Type: application/json\r\n%s%sContent-Length: %zd\r\n\r\n",
                           path, port, header, *header ? "\r\n" : "", length);
        memcpy(bytes + head, line, length);
        requests[body_count].bytes = bytes;
        requests[body_count++].length = head + length;
    }
    free(line);
    fclose(lines);
    if (!body_count) fail("%s has no body. Write a JSON body into each line.", file);
}

static void watch(Connection *one, int operation, unsigned events) {
    struct epoll_event event = {.events = events, .data.ptr = one};
    if (epoll_ctl(poll_set, operation, one->socket, &event)) fail("epoll: %s.", strerror(errno));
}

static void open_connection(Connection *one) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    one->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (one->socket < 0) fail("socket: %s. Allow more open files (ulimit -n).", strerror(errno));
    if (connect(one->socket, (struct sockaddr *)&address, sizeof address))
        fail("Nothing listens on 127.0.0.1:%d: %s.", port, strerror(errno));
    setsockopt(one->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(one->socket, F_SETFL, O_NONBLOCK);
    one->request = -1;
    one->came = 0;
    watch(one, EPOLL_CTL_ADD, EPOLLIN);
}

static void close_connection(Connection *one) {
    if (one->socket >= 0) close(one->socket);
    one->socket = -1;
    one->request = -1;
}

/* Close a connection whose answer cannot come any more. */
static void give_up(Connection *one) {
    lost += one->request >= 0;
    close_connection(one);
}

/* Write as much of the request as the socket takes. */
static void go_on_writing(Connection *one) {
    size_t length = requests[one->request % body_count].length;
    const char *bytes = requests[one->request % body_count].bytes;
    while (one->written < length) {
        ssize_t count =
            send(one->socket, bytes + one->written, length - one->written, MSG_NOSIGNAL);
        if (count < 0) {
            /* An answer may come before the whole request is sent: reading finds out. */
            watch(one, EPOLL_CTL_MOD, errno == EAGAIN ? EPOLLIN | EPOLLOUT : EPOLLIN);
            return;
        }
        one->written += count;
    }
    watch(one, EPOLL_CTL_MOD, EPOLLIN);
}

static void send_request(Connection *one, long long due) {
    if (one->socket < 0) open_connection(one);
    one->request = sent++;
    one->due = due;
    one->written = one->came = one->head = one->body = 0;
    one->status = one->chunked = one->closes = 0;
    long long late = now() - due;
    if (late > latest) latest = late;
    go_on_writing(one);
}

/* Return the value of a field of the header, or NULL. */
static const char *field(const Connection *one, const char *name) {
    const char *end = one->answer + one->head;
    for (const char *line = one->answer; line < end;) {
        const char *next = memchr(line, '\n', end - line);
        if (!next) break;
        if (!strncasecmp(line, name, strlen(name)) && line[strlen(name)] == ':') {
            line += strlen(name) + 1;
            return line + strspn(line, " ");
        }
        line = next + 1;
    }
    return NULL;
}

/* Read the header, once it is there: -> whether it is. */
static int read_head(Connection *one) {
    if (one->head) return 1;
    char *end = memmem(one->answer, one->came, "\r\n\r\n", 4);
    if (!end) return 0;
    one->head = end + 4 - one->answer;
    one->status = one->came > 12 ? atoi(one->answer + 9) : 0;
    if (one->status < 100 || one->status >= STATUSES) fail("An answer is no HTTP.");
    const char *length = field(one, "content-length"), *form = field(one, "transfer-encoding");
    const char *after = field(one, "connection");
    one->chunked = form && !strncasecmp(form, "chunked", 7);
    one->closes = after && !strncasecmp(after, "close", 5);
    one->body = length ? strtoul(length, NULL, 10) : 0;
    return 1;
}

/* Return the bytes of a whole chunked body, 0 if more must come; with `out`, join the chunks. */
static size_t chunks(const Connection *one, FILE *out) {
    const char *at = one->answer + one->head, *end = one->answer + one->came;
    for (;;) {
        const char *line = memchr(at, '\n', end - at);
        if (!line) return 0;
        size_t length = strtoul(at, NULL, 16);
        if ((size_t)(end - line - 1) < length + 2) return 0;
        if (out) fwrite(line + 1, 1, length, out);
        at = line + 1 + length + 2;
        if (!length) return at - one->answer - one->head;
    }
}

static void keep(const Connection *one, size_t body, long long due, long long latency) {
    fprintf(kept, "%ld %d %lld %lld ", one->request, one->status, due - began, latency);
    if (one->chunked)
        chunks(one, kept);
    else
        fwrite(one->answer + one->head, 1, body, kept);
    fputc('\n', kept);
}

/* Note a complete answer: -> whether it was. */
static int take_answer(Connection *one) {
    if (!read_head(one)) return 0;
    size_t body = one->chunked ? chunks(one, NULL) : one->body;
    if (one->chunked ? !body : one->came - one->head < body) return 0;
    last_answer = now();
    long long latency = last_answer - one->due;
    Latencies *of = &latencies[one->status];
    if (of->count == of->room) {
        of->room = of->room ? 2 * of->room : 1024;
        of->values = grown(of->values, of->room * sizeof *of->values);
    }
    of->values[of->count++] = latency;
    answered++;
    extra += one->came - one->head - body;
    if (kept) keep(one, body, one->due, latency);
    one->request = -1;
    one->came = 0;
    if (one->closes) close_connection(one);
    return 1;
}

/* Read all that is there: -> whether the answer is complete. */
static int go_on_reading(Connection *one) {
    for (;;) {
        if (one->room - one->came < 65536) {
            one->room = 2 * one->room + 131072;
            one->answer = grown(one->answer, one->room);
        }
        ssize_t count = recv(one->socket, one->answer + one->came, one->room - one->came - 1, 0);
        if (count < 0 && errno == EAGAIN) return 0;
        if (count <= 0) {
            give_up(one);
            return 0;
        }
        if (one->request < 0) {
            extra += count;
            continue;
        }
        one->came += count;
        one->answer[one->came] = 0;
        if (take_answer(one)) return 1;
    }
}

static int may_send(void) {
    return (stop_after < 0 || sent < stop_after) &&
           (stop_seconds < 0 || now() - began < stop_seconds * 1e6);
}

/* Send all requests that are due, on free connections. */
static void send_due(void) {
    for (long number = 0; number < connection_count && may_send(); number++) {
        long long time = now(), due = rate > 0 ? began + (long long)(sent * 1e6 / rate) : time;
        if (due > time) return;
        if (connections[number].request < 0) send_request(&connections[number], due);
    }
}

/* Return milliseconds until the next request is due, -1 if an answer must come first. */
static int patience(void) {
    if (!may_send()) return 100;
    if (rate <= 0) return stop_seconds < 0 ? -1 : 100;
    long long wait = began + (long long)(sent * 1e6 / rate) - now();
    return wait <= 0 ? 1 : wait / 1000 < 100 ? (int)(wait / 1000) : 100;
}

static int is_waiting(void) {
    for (long number = 0; number < connection_count; number++)
        if (connections[number].request >= 0) return 1;
    return 0;
}

static void run(void) {
    struct epoll_event events[EVENTS];
    long long sent_all = 0;
    for (;;) {
        send_due();
        if (!may_send()) {
            if (!sent_all) sent_all = now();
            if (!is_waiting() || now() - sent_all > last_wait * 1e6) break;
        }
        int count = epoll_wait(poll_set, events, EVENTS, patience());
        for (int number = 0; number < count; number++) {
            Connection *one = events[number].data.ptr;
            if (one->socket >= 0 && events[number].events & EPOLLOUT && one->request >= 0)
                go_on_writing(one);
            if (one->socket >= 0 && events[number].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                /* In a closed loop the connection goes on at once. */
                if (go_on_reading(one) && rate <= 0 && may_send()) send_request(one, now());
            }
        }
    }
    for (long number = 0; number < connection_count; number++) give_up(&connections[number]);
}

static int ascending(const void *left, const void *right) {
    long long a = *(const long long *)left, b = *(const long long *)right;
    return (a > b) - (a < b);
}

static double percentile(const Latencies *of, double share) {
    long rank = (long)(share * of->count + 0.9999999);
    return of->values[rank > 0 ? rank - 1 : 0] / 1e3;
}

static void print_report(void) {
    double seconds = (last_answer > began ? last_answer - began : 1) / 1e6;
    printf("{\"sent\": %ld, \"answered\": %ld, \"lost\": %ld, \"extra bytes\": %ld, "
           "\"seconds\": %.6f, \"rate\": %.3f, \"latest ms\": %.3f, \"statuses\": {",
           sent, answered, lost, extra, seconds, answered / seconds, latest / 1e3);
    const char *between = "";
    for (int status = 0; status < STATUSES; status++) {
        Latencies *of = &latencies[status];
        if (!of->count) continue;
        qsort(of->values, of->count, sizeof *of->values, ascending);
        printf("%s\"%d\": {\"count\": %ld, \"p50 ms\": %.3f, \"p90 ms\": %.3f, \"p99 ms\": %.3f, "
               "\"max ms\": %.3f}",
               between, status, of->count, percentile(of, 0.5), percentile(of, 0.9),
               percentile(of, 0.99), percentile(of, 1));
        between = ", ";
    }
    printf("}}\n");
}

int main(int count, char **words) {
    const char *header = "", *answers = NULL;
    for (int option; (option = getopt(count, words, "c:n:t:r:w:o:a:")) != -1;) {
        if (option == 'c') connection_count = atol(optarg);
        else if (option == 'n') stop_after = atol(optarg);
        else if (option == 't') stop_seconds = atof(optarg);
        else if (option == 'r') rate = atof(optarg);
        else if (option == 'w') last_wait = atof(optarg);
        else if (option == 'o') answers = optarg;
        else if (option == 'a') header = optarg;
        else return 2;
    }
    if (count - optind != 3) fail("Expected PORT PATH BODIES; %s has the options.", __FILE__);
    if (stop_after < 0 && stop_seconds < 0) fail("Say when to stop: -n REQUESTS or -t SECONDS.");
    port = atoi(words[optind]);
    read_bodies(words[optind + 2], words[optind + 1], header);
    if (answers && !(kept = fopen(answers, "w"))) fail("%s: %s.", answers, strerror(errno));
    poll_set = epoll_create1(0);
    connections = calloc(connection_count, sizeof *connections);
    /* In a closed loop all connections stand before the clock starts; at a rate, as needed. */
    for (long number = 0; number < connection_count; number++) {
        connections[number].socket = connections[number].request = -1;
        if (rate <= 0) open_connection(&connections[number]);
    }
    began = now();
    run();
    if (kept && fclose(kept)) fail("%s: %s.", answers, strerror(errno));
    print_report();
    return 0;
}
