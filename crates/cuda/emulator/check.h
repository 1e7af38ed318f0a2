// What the tests of this folder share: random numbers, comparisons, and code that must abort.
#pragma once

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

static int failures, checks;

__attribute__((format(printf, 2, 3))) static bool check(bool right, const char* format, ...) {
  checks++;
  if (right) return true;
  if (failures++ < 40) {
    va_list arguments;
    va_start(arguments, format);
    printf("failed: ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
  }
  return false;
}

static int report() {
  printf("%d checks, %d failed\n", checks, failures);
  return failures == 0 ? 0 : 1;
}

struct Random {
  uint64_t state;

  uint64_t word() {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return state >> 33;
  }
  unsigned below(unsigned bound) { return unsigned(word() % bound); }
  // Between -1 and 1.
  float number() { return float(word() & 0xFFFFFF) / float(1 << 23) - 1.f; }
};

// What `work` writes to stderr before it aborts; empty if it does not abort.
template <class Work>
static std::string message_of_abort(Work work) {
  int pipes[2];
  if (pipe(pipes) != 0) abort();
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    dup2(pipes[1], 2);
    close(pipes[0]);
    work();
    _exit(0);
  }
  close(pipes[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(pipes[0], buffer, sizeof buffer)) > 0;) text.append(buffer, size_t(n));
  close(pipes[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? text : "";
}

inline bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
