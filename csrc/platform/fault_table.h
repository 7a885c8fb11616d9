// The table of watched mappings, as the SIGBUS handler reads it.
//
// Owns: one static row per mapping; rows name memory and descriptors that their mapping owns.
// Threads: thread-safe. Lookups use atomics and system calls only, so a signal handler may make
// them. Attached: not needed. Fails: TakeRow returns -1 when every row is in use.
//
// Private to the fault guard (fault_guard.cc and its table); others use GuardedMapping.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "platform/fault_guard.h"

namespace spanflow::platform {

// As many mappings as Linux allows a process (vm.max_map_count). Rows that were never used are
// untouched zero pages and cost nothing.
inline constexpr int kFaultRows = 1 << 16;

// Enters a mapping; from then on the handler finds it.
int TakeRow(const MappingInfo& mapping, std::atomic<uint64_t>* faults);

// Takes it out again; returns when no handler looks at it any more.
void GiveBackRow(int row);

// Called by the handler: lays zeros over what is missing around `address` and counts. False when
// the address is in no watched mapping, or nothing could be laid there.
bool CoverMissingPages(uintptr_t address);

// Counts once, as a fault, when the file of the row ends before the mapping does: between the new
// end of the file and the end of its page lie zeros that raise no signal. The mapping must be
// watched.
void CheckFileEnd(int row);

// The row whose mapping holds the whole range, or -1.
int FindRow(uintptr_t address, int64_t nbytes);
// Of the mapping in `row` if it still holds `address`; else nothing was lost, and it has no path.
uint64_t FaultsAt(int row, uintptr_t address);
std::string PathAt(int row, uintptr_t address);

// Whether the page can be read without a signal.
bool IsPagePresent(uintptr_t address);

// In a forked child: handlers that ran in other threads do not run here.
void ForgetVisitors();

}  // namespace spanflow::platform
