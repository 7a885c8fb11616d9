// The graph of a computation with everything known but where its columns lie: nodes in the order in
// which they can be computed, equal ones only once, each with its dtype and shape.
//
// Owns: its values; each refers to the Node it came from, which the caller keeps alive.
// Threads: thread-compatible. Attached: not needed.
// Fails: TypeError (no such operation for the dtypes), ValueError (shapes, axes, unknown columns),
// OverflowError (a Python int that does not fit).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "array/reduce.h"
#include "expr/node.h"

namespace spanflow::expr {

// What a column's name stands for in one computation.
struct Column {
  std::string name;
  const array::View* view;
};

// An array that is read: an array of the graph, or the column of this index.
struct Source {
  const array::View* array = nullptr;
  size_t column = 0;
  base::Layout layout;

  const array::View& Find(std::span<const Column> columns) const {
    return array != nullptr ? *array : *columns[column].view;
  }
};

// The index of a value in its graph.
using ValueId = int32_t;
inline constexpr ValueId kNoValue = -1;

struct Value {
  const Node* node = nullptr;
  NodeType type{};
  std::array<ValueId, 3> operands{kNoValue, kNoValue, kNoValue};

  base::Kind kind{};                 // of the elements
  base::Kind compute{};              // kOp: what the kernel computes in
  bool is_mixed = false;             // kOp: compares int64 with uint64 (simd/kernels.h)
  base::Dims shape;                  // of a filtered value: of what it was filtered from
  ValueId domain = kNoValue;         // the mask that filtered it; none: all elements
  size_t index = 0;                  // kArray: into Graph::sources; kReduce: into reductions
  std::array<std::byte, 16> item{};  // kNumber: one element
  array::AxisSet axes;               // kReduce
  // A reduction ends a pass over its operand; what is made of its result belongs to a later pass.
  int pass = 0;
};

struct Graph {
  std::vector<Value> values;  // operands come before what is made of them
  std::vector<ValueId> roots;
  std::vector<Source> sources;
  std::vector<ValueId> reductions;

  const Value& operator[](ValueId id) const { return values[static_cast<size_t>(id)]; }
};

base::Result<Graph> Resolve(std::span<const NodeRef> roots, std::span<const Column> columns);

}  // namespace spanflow::expr
