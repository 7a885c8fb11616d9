// Mapped files: the bytes of a file as a Block, without reading them; and memory that other
// processes can map, which is a file without a name.
//
// Owns: a block owns its mapping and an open descriptor, which tells whether the file became
// shorter; both go with Block::Close or the last reference.
// Threads: thread-safe. Attached: not needed; touching pages, Populate and Flush wait for the disk.
// Fails: OSError with the path, ValueError when the range does not lie inside the file.
//
// When the file becomes shorter under a mapping, or a page cannot be read or written, the access
// sees zeros and Block::faults() goes up (platform/fault_guard.h); it also goes up once when the
// file is found to end before the mapping does. faults() asks the system twice, about half a
// microsecond.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "memory/block.h"
#include "platform/file.h"
#include "platform/pages.h"

namespace spanflow::memory {

enum class MapMode {
  kRead,         // "r": writing is refused
  kReadWrite,    // "r+": writes go to the file
  kCopyOnWrite,  // "c": writes stay in this process
};

// How a file must be opened to be mapped so.
constexpr platform::OpenMode OpenModeFor(MapMode mode) {
  return mode == MapMode::kReadWrite ? platform::OpenMode::kReadWrite : platform::OpenMode::kRead;
}

// The block's address is exactly the byte at `offset`, which may be any; the range must lie inside
// the file as it is now. An empty range maps nothing and gives a block with a valid address.
base::Result<BlockRef> MapFile(const std::string& path, MapMode mode, int64_t offset,
                               int64_t nbytes);
// The same for a file that is open already: what was read of it and what is mapped is one file.
base::Result<BlockRef> MapFile(platform::File file, MapMode mode, int64_t offset, int64_t nbytes);

// Where a block's bytes are found again: from `offset` of the file on. Nothing where that is not
// so: for bytes that are not mapped, closed, lost, changed in this process alone, or of a file that
// has no name any more.
struct MappedPlace {
  std::string path;  // absolute
  MapMode mode;
  int64_t offset;
};
std::optional<MappedPlace> PlaceOf(Block* block);

// Zeroed memory that other processes can map. MemoryError when not so much is available; the pages
// are reserved, as a lost page would be an error later.
base::Result<BlockRef> AllocateShared(int64_t nbytes);

// What another process needs to map the same bytes; nothing for other blocks than mapped ones, and
// for copies on write, whose bytes are this process's alone.
struct FileRange {
  platform::File file;  // a descriptor of its own
  MapMode mode;
  int64_t offset;
  int64_t nbytes;
};
base::Result<std::optional<FileRange>> FileRangeOf(const Block& block);

// For part of a block of any kind; the range is cut to the block, and a closed block is left alone.
void AdviseSequential(Block* block, int64_t offset, int64_t nbytes);
void AdviseWillNeed(Block* block, int64_t offset, int64_t nbytes);
// Makes the pages present now. OSError naming the block when bytes are gone from the file.
base::Status Populate(Block* block, int64_t offset, int64_t nbytes,
                      platform::Access access = platform::Access::kRead);

}  // namespace spanflow::memory
