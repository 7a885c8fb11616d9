// Item: what flows through a pipeline - a Chunk of arrays, or a value of somebody else's.
//
// Owns: an Item owns its Value; a Value owns what it carries and its credit.
// Threads: a Value belongs to one thread at a time and may be dropped on any.
// Attached: not needed. A value that holds a Python object must defer its release by itself.
// Fails: never.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "array/view.h"
#include "pipeline/budget.h"

namespace spanflow::pipeline {

class Chunk;

class Value {
 public:
  Value() = default;
  Value(const Value&) = delete;
  Value& operator=(const Value&) = delete;
  virtual ~Value() = default;

  virtual int64_t nbytes() const { return 0; }  // what it holds, as far as that is known
  virtual Chunk* AsChunk() { return nullptr; }

  // For bytes that do not return their credit by themselves: those that the source brought. It goes
  // back when the value is replaced, dropped, or handed to the consumer.
  Credit credit;

  // What it costs to keep the item.
  int64_t cost() const { return std::max(nbytes(), credit.nbytes()); }
};

using Item = std::unique_ptr<Value>;
using Items = std::vector<Item>;

// One array of a chunk, and what keeps its bytes alive if the block alone does not (the bytes of a
// Python exporter live as long as the exporter).
struct Part {
  Part() = default;
  Part(array::View a, std::shared_ptr<void> keeper = nullptr, bool is_fresh = false)  // NOLINT
      : view(std::move(a)), keep(std::move(keeper)), fresh(is_fresh) {}
  Part(const Part&) = default;
  Part(Part&&) = default;
  // Member by member: the block goes before what it may live in.
  Part& operator=(Part&&) = default;
  Part& operator=(const Part& other) { return *this = Part(other); }
  ~Part() { view.block = {}; }  // before what the block may live in

  array::View view;
  std::shared_ptr<void> keep;
  bool fresh = false;  // made by a stage of this run for this item alone: may be written in place
};

using Names = std::shared_ptr<const std::vector<std::string>>;

// What several arrays are to the consumer.
struct Form {
  bool is_tuple = false;  // a tuple, even if it is one array
  Names names;            // a dict with these, unless null
};

// One array, or several side by side, and which rows of the source they stand for.
class Chunk final : public Value {
 public:
  Chunk() = default;

  int64_t nbytes() const override;
  Chunk* AsChunk() override { return this; }

  int size() const { return 1 + static_cast<int>(rest_.size()); }
  Part& operator[](int i) { return i == 0 ? first_ : rest_[static_cast<size_t>(i - 1)]; }
  const Part& operator[](int i) const {
    return i == 0 ? first_ : rest_[static_cast<size_t>(i - 1)];
  }
  void Append(Part part) { rest_.push_back(std::move(part)); }
  // The chunk is this one array from now on.
  void Replace(Part part);
  // The same with its own first array, in which something else is now.
  void KeepFirst();

  // [first_row, first_row + rows) of the source; rows is kNoRows once they no longer correspond.
  static constexpr int64_t kNoRows = -1;
  int64_t first_row = 0;
  int64_t rows = kNoRows;
  Form form;

 private:
  Part first_;
  std::vector<Part> rest_;
};

}  // namespace spanflow::pipeline
