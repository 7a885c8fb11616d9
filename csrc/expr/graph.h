// The graph of one computation with everything known: nodes in the order in which they can be
// computed, equal ones only once, each with its dtype and shape.
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

// The index of a value in its graph.
using ValueId = int32_t;
inline constexpr ValueId kNoValue = -1;

struct Value {
  const Node* node = nullptr;
  NodeType type{};
  std::array<ValueId, 3> operands{kNoValue, kNoValue, kNoValue};

  base::Kind kind{};                   // of the elements
  base::Kind compute{};                // kOp: what the kernel computes in
  bool is_mixed = false;               // kOp: compares int64 with uint64 (simd/kernels.h)
  base::Dims shape;                    // of a filtered value: of what it was filtered from
  ValueId domain = kNoValue;           // the mask that filtered it; none: all elements
  const array::View* array = nullptr;  // kArray and kColumn
  std::array<std::byte, 16> item{};    // kNumber: one element
  array::AxisSet axes;                 // kReduce
  // A reduction ends a pass over its operand; what is made of its result belongs to a later pass.
  int pass = 0;
};

struct Graph {
  std::vector<Value> values;  // operands come before what is made of them
  std::vector<ValueId> roots;

  const Value& operator[](ValueId id) const { return values[static_cast<size_t>(id)]; }
};

base::Result<Graph> Resolve(std::span<const NodeRef> roots, std::span<const Column> columns);

}  // namespace spanflow::expr
