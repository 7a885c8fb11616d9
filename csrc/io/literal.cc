#include "io/literal.h"

#include <charconv>

namespace spanflow::io {
namespace {

using base::Result;
using base::Status;

constexpr int kDeepest = 32;  // brackets in brackets; NumPy's own limit for dtypes is lower

void AppendUtf8(std::string& text, uint32_t c) {
  const auto add = [&text](uint32_t byte) { text += static_cast<char>(byte); };
  if (c < 0x80) {
    add(c);
  } else if (c < 0x800) {
    add(0xC0 | c >> 6), add(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    add(0xE0 | c >> 12), add(0x80 | (c >> 6 & 0x3F)), add(0x80 | (c & 0x3F));
  } else {
    add(0xF0 | c >> 18), add(0x80 | (c >> 12 & 0x3F)), add(0x80 | (c >> 6 & 0x3F));
    add(0x80 | (c & 0x3F));
  }
}

// Recursive descent; every function leaves pos_ behind what it read.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Literal> Whole() {
    SPANFLOW_ASSIGN(Literal literal, Value(0));
    SkipSpace();
    if (pos_ != text_.size()) return Bad("more text behind the end");
    return literal;
  }

 private:
  char Peek() const { return pos_ < text_.size() ? text_[pos_] : '\0'; }
  void SkipSpace() {
    while (pos_ < text_.size() && std::string_view(" \t\r\n").find(Peek()) != text_.npos) ++pos_;
  }
  bool Skip(char c) {
    SkipSpace();
    if (Peek() != c) return false;
    ++pos_;
    return true;
  }
  Status Bad(const std::string& what) const {
    return Status::Value(what + " at character " + std::to_string(pos_) + " of the header");
  }

  Result<Literal> Value(int depth) {
    SkipSpace();
    if (depth > kDeepest) return Bad("brackets nested too deeply");
    const char c = Peek();
    if (c == '\'' || c == '"') return String();
    if (c == '-' || (c >= '0' && c <= '9')) return Integer();
    if (c == '(') return Items(Literal::Type::kTuple, ')', depth);
    if (c == '[') return Items(Literal::Type::kList, ']', depth);
    if (c == '{') return Items(Literal::Type::kDict, '}', depth);
    return Word();
  }

  Result<Literal> Word() {
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(pos_, word.size()) != word) continue;
      pos_ += word.size();
      Literal literal{Literal::Type::kBool, {}, value, {}};
      return literal;
    }
    if (pos_ >= text_.size()) return Bad("the text ends too early");
    return Bad("something that is no string, integer, bool, tuple, list or dict");
  }

  Result<Literal> Integer() {
    Literal literal{Literal::Type::kInteger, {}, 0, {}};
    const char* begin = text_.data() + pos_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), literal.number);
    if (error == std::errc::result_out_of_range) return Bad("an integer of more than 63 bits");
    if (error != std::errc()) return Bad("a sign without digits");
    pos_ += static_cast<size_t>(end - begin);
    if (Peek() == 'L') ++pos_;
    return literal;
  }

  Result<Literal> Items(Literal::Type type, char close, int depth) {
    Literal literal{type, {}, 0, {}};
    ++pos_;
    bool comma = false;
    while (!Skip(close)) {
      if (!literal.items.empty() && !comma) return Bad("no comma between two items");
      SPANFLOW_ASSIGN(Literal item, Value(depth + 1));
      literal.items.push_back(std::move(item));
      if (type == Literal::Type::kDict) {
        if (!Skip(':')) return Bad("a dict key without a colon");
        SPANFLOW_ASSIGN(Literal value, Value(depth + 1));
        literal.items.push_back(std::move(value));
      }
      comma = Skip(',');
    }
    // (x) is x in brackets; only (x,) is a tuple.
    if (type == Literal::Type::kTuple && literal.items.size() == 1 && !comma) {
      Literal inner = std::move(literal.items[0]);
      return inner;
    }
    return literal;
  }

  Result<Literal> String() {
    Literal literal;
    const char quote = text_[pos_++];
    while (Peek() != quote) {
      const char c = Peek();
      if (c == '\0' || c == '\n') return Bad("a string that does not end");
      ++pos_;
      if (c != '\\') {
        literal.text += c;
      } else {
        SPANFLOW_TRY(Escape(literal.text));
      }
    }
    ++pos_;
    return literal;
  }

  Status Escape(std::string& text) {
    static constexpr struct {
      char letter;
      char meaning;
    } kSimple[] = {{'\\', '\\'}, {'\'', '\''}, {'"', '"'}, {'n', '\n'}, {'r', '\r'}, {'t', '\t'}};
    const char letter = Peek();
    for (const auto& simple : kSimple) {
      if (letter != simple.letter) continue;
      ++pos_;
      text += simple.meaning;
      return Status::Ok();
    }
    const size_t digits = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    if (digits == 0) return Bad("an unknown escape in a string");
    const std::string_view code = text_.substr(pos_ + 1, digits);
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(code.data(), code.data() + code.size(), value, 16);
    const bool surrogate = value >= 0xD800 && value < 0xE000;
    if (error != std::errc() || end != code.data() + digits || value == 0 || value > 0x10FFFF ||
        surrogate) {
      return Bad("an escape that names no character");
    }
    pos_ += 1 + digits;
    AppendUtf8(text, value);
    return Status::Ok();
  }

  std::string_view text_;
  size_t pos_ = 0;
};

}  // namespace

Result<Literal> ParseLiteral(std::string_view text) { return Parser(text).Whole(); }

std::string QuotedLiteral(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string quoted = "'";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      quoted.append("\\x").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
    } else {
      if (c == '\'' || c == '\\') quoted += '\\';
      quoted += c;
    }
  }
  return quoted + '\'';
}

}  // namespace spanflow::io
