// Literal: the few Python literals that a .npy header is made of, read without evaluating anything.
//
// Owns: its text and items. Threads: thread-compatible value. Attached: not needed.
// Fails: ParseLiteral returns a ValueError that says what was found and where.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace spanflow::io {

struct Literal {
  enum class Type { kString, kInteger, kBool, kTuple, kList, kDict };

  Type type = Type::kString;
  std::string text;            // a string, in UTF-8
  int64_t number = 0;          // an integer; a bool as 0 or 1
  std::vector<Literal> items;  // of a tuple or list; of a dict: key, value, key, value, …

  bool Is(Type wanted) const { return type == wanted; }
};

// The whole text must be one literal. Strings: '…' and "…" with the usual escapes; integers: 63
// bits and a sign, Python 2's L is accepted; True, False; tuples, lists and dicts of these.
base::Result<Literal> ParseLiteral(std::string_view text);

// The text as a Python string literal. Whatever is not a control character stays as it is.
std::string QuotedLiteral(std::string_view text);

}  // namespace spanflow::io
