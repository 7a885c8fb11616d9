// Runs a program: block by block through the registers, spread over the runtime.
//
// Owns: registers, which are kept for the next run. Threads: thread-safe; what depends on threads
// is who does which piece: the reductions' grains depend on the number of elements only. Attached:
// not needed. Fails: std::bad_alloc; the caller holds the bytes (array/run.h).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "array/loader.h"
#include "array/run.h"
#include "expr/program.h"
#include "memory/heap.h"

namespace spanflow::expr {

// What one grain leaves of a filtered output.
struct Piece {
  memory::BlockRef block;
  int64_t nbytes = 0;
};

// What a program gives beside its outputs.
struct Folded {
  std::vector<simd::Accumulator> accumulators;  // as the program numbers them
  std::vector<int64_t> counts;                  // elements of each domain
  std::vector<std::vector<Piece>> pieces;       // of each filtered output, one after the other
};

// Where the first elements of a program's inputs and outputs lie.
struct Addresses {
  std::span<std::byte* const> inputs;
  std::span<std::byte* const> outputs;
};

class Worker;

// A program, how its operands are walked, and the registers of those who run it.
class Runner {
 public:
  explicit Runner(Program program);
  ~Runner();

  const Program& program() const { return program_; }
  int64_t block() const { return std::min(block_, size_); }   // elements
  int64_t register_bytes() const { return register_bytes_; }  // of each
  Folded Run(const Addresses& addresses, const array::RunOptions& options);

 private:
  friend class Worker;

  array::AxisOrder Order() const;
  void LimitBlock();
  template <class Work>
  void Borrow(const Work& work);  // work(worker) with registers that nobody else uses
  void RunGrains(const Addresses& addresses, const array::RunOptions& options, Folded* folded);

  const Program program_;
  int64_t size_ = 1;  // elements
  std::vector<array::LoadPlan> loads_;
  std::vector<array::StorePlan> stores_;
  int64_t block_ = array::kNoLimit;  // elements
  int64_t register_bytes_ = 0;       // of each register and number
  int64_t element_bytes_ = 0;        // moved between memory and the program, per element
  std::mutex mutex_;
  std::vector<std::unique_ptr<Worker>> waiting_;
};

}  // namespace spanflow::expr
