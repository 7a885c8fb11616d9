// ForkCount: tells a forked child apart from its parent.
//
// Owns: one counter. Threads: thread-safe. Attached: not needed. Fails: never.
#pragma once

#include <cstdint>

namespace spanflow::runtime {

// How many forks lie between the process that first asked and this one. Whoever keeps threads notes
// it at the start: with another number later, the threads are not there.
uint64_t ForkCount();

}  // namespace spanflow::runtime
