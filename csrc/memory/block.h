// Block: a run of bytes that knows who owns it, who is using it and how to let it go.
//
// Owns: the bytes, through ReleaseBytes; is itself reference counted (BlockRef).
// Threads: thread-safe. The bytes themselves are not guarded: element races are the user's.
// Attached: never needed. Foreign blocks (bytes of a Python exporter) are made and released by
// bindings; here they are only an address that somebody else keeps alive.
// Fails: TryBorrow returns false when the block is closed; Close returns BufferError text while
// anything borrows it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "base/status.h"

namespace spanflow::memory {

enum class BlockKind : uint8_t { kHeap, kMapped, kForeign };
const char* NameOf(BlockKind kind);  // "heap", "mapped", "foreign"

// Who borrows. All counts and the closed flag live in one atomic word, so that "nobody borrows"
// and "closed" change in a single step.
enum class Borrower : uint8_t { kExport, kKernel, kPipeline };

class Block {
 public:
  Block(std::byte* address, int64_t nbytes, BlockKind kind, bool readonly)
      : address_(address), nbytes_(nbytes), kind_(kind), readonly_(readonly) {}
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  std::byte* address() const { return address_; }
  int64_t nbytes() const { return nbytes_; }
  BlockKind kind() const { return kind_; }
  bool readonly() const { return readonly_; }
  bool closed() const { return (state_.load(std::memory_order_acquire) & kClosed) != 0; }

  bool TryBorrow(Borrower who);
  void Return(Borrower who);
  int64_t borrows(Borrower who) const;

  // Closed for good, bytes released; a second call does nothing. BufferError names the borrowers.
  base::Status Close();

  // Mapped blocks: how often a page turned out to be gone (the file was truncated, or the device
  // failed). Reads then saw zeros and will again, so whoever ran over the bytes must turn anything
  // but 0 into an error. Other blocks: always 0, unless they show bytes of a mapped one.
  virtual uint64_t faults() const { return 0; }
  virtual std::string description() const { return NameOf(kind_); }  // a mapped block: its path
  // Writes changed bytes back to where they came from; nothing to do for memory.
  virtual base::Status Flush() { return base::Status::Ok(); }

  void Retain() { references_.fetch_add(1, std::memory_order_relaxed); }
  void Drop();

 protected:
  virtual ~Block() = default;
  // Called exactly once, by Close() or when the last reference goes: lets the bytes go.
  virtual void ReleaseBytes() noexcept = 0;
  // Called after that when the last reference goes. A block that lives inside another object
  // overrides it.
  virtual void Destroy() noexcept { delete this; }

 private:
  static constexpr uint64_t kClosed = uint64_t{1} << 63;
  static constexpr int kBitsPerBorrower = 21;

  std::byte* address_;
  int64_t nbytes_;
  std::atomic<uint64_t> state_{0};
  std::atomic<int64_t> references_{1};
  BlockKind kind_;
  bool readonly_;
};

// A strong reference to a Block.
class BlockRef {
 public:
  BlockRef() = default;
  static BlockRef Adopt(Block* block) { return BlockRef(block); }  // takes over one reference
  static BlockRef Share(Block* block) {
    block->Retain();
    return BlockRef(block);
  }
  BlockRef(const BlockRef& other) : block_(other.block_) {
    if (block_ != nullptr) block_->Retain();
  }
  BlockRef(BlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  BlockRef& operator=(BlockRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockRef() {
    if (block_ != nullptr) block_->Drop();
  }

  Block* get() const { return block_; }
  Block* operator->() const { return block_; }
  Block& operator*() const { return *block_; }
  explicit operator bool() const { return block_ != nullptr; }

 private:
  explicit BlockRef(Block* block) : block_(block) {}
  Block* block_ = nullptr;
};

// A borrow for the length of a scope; `ok()` is false when the block was closed.
class Borrow {
 public:
  Borrow(Block* block, Borrower who) : block_(block), who_(who), ok_(block->TryBorrow(who)) {}
  ~Borrow() {
    if (ok_) block_->Return(who_);
  }
  Borrow(const Borrow&) = delete;
  Borrow& operator=(const Borrow&) = delete;
  bool ok() const { return ok_; }

 private:
  Block* block_;
  Borrower who_;
  bool ok_;
};

}  // namespace spanflow::memory
