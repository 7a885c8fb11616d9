// Expressions for people.
//
// Owns: nothing. Threads: thread-safe. Attached: not needed. Fails: never.
#pragma once

#include <string>
#include <vector>

#include "expr/node.h"

namespace spanflow::expr {

// "sum(clip((float32(1000,) - 0.5) * 3.46, -1, 1))"; what lies deep inside is shown as an ellipsis.
std::string ToString(const Node& node);

// A node of a drawing. Numbers are part of the text; other operands are dots there, and nodes.
struct Part {
  const char* role;  // "source", "operation", "filter" or "reduction"
  std::string text;
  std::vector<size_t> operands;  // parts before this one
};

// Operands come before what is made of them; the root is the last one.
std::vector<Part> PartsOf(const Node& root);

// The names of the columns, in the order in which they are met from left to right.
std::vector<std::string> ColumnsOf(const Node& root);

}  // namespace spanflow::expr
