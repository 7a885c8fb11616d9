// The expression graph: what is to be computed, before anything is known of types and shapes. Nodes
// are immutable and shared; an expression is a reference to its last node.
//
// Owns: a node owns its operands and, if it is an array, one reference to the array's block.
// Threads: immutable values that any thread may share and drop. Attached: not needed.
// Fails: never; std::bad_alloc when there is no memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "array/promote.h"
#include "array/view.h"
#include "base/status.h"
#include "simd/ops.h"

namespace spanflow::expr {

// A Python number: it takes its kind from what stands beside it (NEP 50).
struct Number {
  array::Weak weak = array::Weak::kInt;
  int64_t integer = 0;    // of a bool or an int
  bool is_large = false;  // the int is 2^63 or more; `integer` holds its bits
  double re = 0, im = 0;  // of a float or a complex number

  bool operator==(const Number&) const = default;
};

// Whether `kind` is no integer kind or holds the number.
bool Fits(const Number& number, base::Kind kind);
// Writes it as one item of a numeric kind. An int that does not fit is an OverflowError.
base::Status WriteNumber(const Number& number, base::Kind kind, std::byte* item);
std::string ToString(const Number& number);

struct Node;
using NodeRef = std::shared_ptr<const Node>;

enum class NodeType : uint8_t {
  kArray,   // `array`
  kColumn,  // `name`: an array that is named when the expression is computed
  kNumber,  // `number`
  kOp,      // `op` of the operands
  kCast,    // the operand as `kind`
  kFilter,  // the elements of operand 0 where operand 1 is true
  kReduce,  // `reduction` of the operand
};

struct Node {
  NodeType type;
  std::vector<NodeRef> operands;

  simd::Op op{};
  simd::Reduction reduction{};
  base::Kind kind{};
  std::optional<std::vector<int64_t>> axes;  // of a reduction; none: all of them
  bool keepdims = false;
  double ddof = 0;

  array::View array;
  std::string name;
  Number number;

  explicit Node(NodeType type_of_node) : type(type_of_node) {}
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node();  // frees a graph of any depth without recursion
};

NodeRef FromArray(array::View view);
NodeRef FromColumn(std::string name);
NodeRef FromNumber(const Number& number);
NodeRef Apply(simd::Op op, std::vector<NodeRef> operands);
NodeRef Cast(NodeRef operand, base::Kind kind);
NodeRef Filter(NodeRef operand, NodeRef mask);

struct ReduceOptions {
  std::optional<std::vector<int64_t>> axes;
  bool keepdims = false;
  double ddof = 0;
};
NodeRef Reduce(simd::Reduction reduction, NodeRef operand, ReduceOptions options = {});

}  // namespace spanflow::expr
