// RunScope: what every operation holds while it touches memory - a borrow of each block, so that
// nothing is unmapped or freed under it - and what turns missing pages into errors.
//
// Owns: the borrows, until the scope ends; the views must outlive it.
// Threads: thread-compatible; one scope belongs to one call.
// Attached: not needed.
// Fails: Add returns a ValueError for a closed block; Finish an OSError when pages were missing.
#pragma once

#include <cstdint>
#include <vector>

#include "array/view.h"
#include "base/status.h"

namespace spanflow::array {

struct RunOptions {
  int threads = 0;  // how many may work on the call, the caller included; 0: as many as there are
};

class RunScope {
 public:
  RunScope() = default;
  RunScope(const RunScope&) = delete;
  RunScope& operator=(const RunScope&) = delete;
  ~RunScope();

  // Borrows the view's block; a block that the scope already holds costs nothing. A view without
  // a block (bytes that the caller keeps alive) is accepted.
  base::Status Add(const View& view) {
    memory::Block* block = view.block.get();
    if (block == nullptr) return base::Status::Ok();
    for (int i = 0; i < count_; ++i) {
      if (held_[i] == block) return base::Status::Ok();
    }
    return AddBlock(block);
  }

  // After the work: an error when pages of a block are gone, lost in this run or before it: a
  // damaged mapping stays damaged, so that nobody takes its zeros for data.
  base::Status Finish() const { return watching_ ? CheckFaults() : base::Status::Ok(); }

 private:
  static constexpr int kInline = 4;

  base::Status AddBlock(memory::Block* block);
  base::Status CheckFaults() const;

  int count_ = 0;          // in held_
  bool watching_ = false;  // some block can lose pages
  memory::Block* held_[kInline] = {};
  std::vector<memory::Block*> more_;  // beyond kInline blocks
};

}  // namespace spanflow::array
