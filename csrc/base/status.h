// Status and Result: how a call below the bindings says that it failed.
//
// Owns: a Status owns its message; an OK status owns nothing and is one null pointer.
// Threads: thread-compatible values; may be moved freely between threads.
// Attached: never needed, knows nothing of Python.
// Fails: never; out-of-memory while a message is built throws std::bad_alloc.
#pragma once

#include <cassert>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace spanflow::base {

// Each code is one Python exception type; bindings/errors.cc holds the table.
enum class Code {
  kOk,
  kValue,      // ValueError
  kType,       // TypeError
  kIndex,      // IndexError
  kOverflow,   // OverflowError
  kOs,         // OSError(errno, message, path)
  kMemory,     // MemoryError
  kBuffer,     // BufferError
  kTimeout,    // TimeoutError
  kCancelled,  // the run was told to stop; the first error is elsewhere
  kRuntime,    // RuntimeError
  kPipeline,   // spanflow.PipelineError
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message)
      : body_(std::make_unique<Body>(Body{code, 0, std::move(message), {}})) {}

  static Status Ok() { return {}; }
  static Status Value(std::string message) { return {Code::kValue, std::move(message)}; }
  static Status Type(std::string message) { return {Code::kType, std::move(message)}; }
  static Status Index(std::string message) { return {Code::kIndex, std::move(message)}; }
  static Status Overflow(std::string message) { return {Code::kOverflow, std::move(message)}; }
  static Status Buffer(std::string message) { return {Code::kBuffer, std::move(message)}; }
  static Status Memory(std::string message) { return {Code::kMemory, std::move(message)}; }
  static Status Cancelled() { return {Code::kCancelled, "the run was cancelled"}; }
  // `error` is an errno value; `path` may be empty.
  static Status Os(int error, std::string message, std::string path = {}) {
    Status status(Code::kOs, std::move(message));
    status.body_->os_error = error;
    status.body_->path = std::move(path);
    return status;
  }

  bool ok() const { return body_ == nullptr; }
  Code code() const { return body_ ? body_->code : Code::kOk; }
  int os_error() const { return body_ ? body_->os_error : 0; }
  const std::string& message() const { return body_ ? body_->message : Empty(); }
  const std::string& path() const { return body_ ? body_->path : Empty(); }

  Status Copy() const {
    Status copy;
    if (body_) copy.body_ = std::make_unique<Body>(*body_);
    return copy;
  }

 private:
  struct Body {
    Code code;
    int os_error;
    std::string message;
    std::string path;
  };

  static const std::string& Empty() {
    static const std::string& empty = *new std::string;  // leaked: no destructor order to think of
    return empty;
  }

  std::unique_ptr<Body> body_;
};

// A value or the Status that says why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}                                  // NOLINT
  Result(Status status) : status_(std::move(status)) { assert(!status_.ok()); }  // NOLINT

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  Status TakeStatus() { return std::move(status_); }

  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return *std::move(value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace spanflow::base

#define SPANFLOW_CONCAT_INNER(a, b) a##b
#define SPANFLOW_CONCAT(a, b) SPANFLOW_CONCAT_INNER(a, b)

// Returns from the enclosing function when `expression` (a Status) is not OK.
#define SPANFLOW_TRY(expression)                                          \
  do {                                                                    \
    if (::spanflow::base::Status status_ = (expression); !status_.ok()) { \
      return status_;                                                     \
    }                                                                     \
  } while (false)

// SPANFLOW_ASSIGN(auto x, MakeX()): x is the value, or the enclosing function returns the Status.
#define SPANFLOW_ASSIGN(target, expression) \
  SPANFLOW_ASSIGN_INNER(target, expression, SPANFLOW_CONCAT(result_, __LINE__))
#define SPANFLOW_ASSIGN_INNER(target, expression, result) \
  auto result = (expression);                             \
  if (!result.ok()) return result.TakeStatus();           \
  target = *std::move(result)
