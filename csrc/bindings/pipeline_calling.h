// What every stage that calls Python needs: being attached, arguments, and what becomes of results.
//
// Owns: nothing. Threads: as the stage that calls it.
// Attached: everything but RunAttached, which attaches, needs it.
// Fails: PythonError is thrown; RunAttached turns it into the error of the item in hand.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "bindings/pipeline_value.h"
#include "pipeline/stage.h"

namespace spanflow::bindings {

struct PythonCall {
  std::string name;      // "map(f)"
  PyObject* callable;    // called with the item, then:
  PyObject* args;        // a tuple
  PyObject* kwargs;      // a dict or null
  uint64_t aligned = 0;  // bit i: args[i] is an array of which the chunk's rows are passed
};

class CallScope {
 public:
  explicit CallScope(std::atomic<int>& calls) : calls_(calls) { calls_.fetch_add(1); }
  ~CallScope() { calls_.fetch_sub(1); }
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

 private:
  std::atomic<int>& calls_;
};

// Takes the exception that is set. One that a next() would take for the end becomes the cause of
// another.
capi::Ref TakeRaisedForItem();
// Exceptions that are no Exception, such as KeyboardInterrupt, do not wait for their turn.
bool IsUrgent(PyObject* exception);
// The exception that is set becomes the error of the item in hand.
base::Status ThrowRaised(const PythonSide& side, pipeline::Context& context);
// Ends a child that was forked inside of a function of the run.
[[noreturn]] void LeaveForkedChild(const pipeline::Context& context);

// Runs `work` attached; what it throws becomes the item's error.
template <class Work>
base::Status RunAttached(const PythonSide& side, pipeline::Context& context, Work&& work) {
  const StageAttach attached(context, side.state->hub);
  if (!attached.ok()) return base::Status::Cancelled();  // the interpreter is going away
  const CallScope call(side.owned->calls);
  side.owned->called.store(true, std::memory_order_relaxed);
  base::Status status;
  try {
    status = work();
    if (!side.owned->Forked()) return status;
  } catch (...) {
    capi::SetErrorFromCurrentException();
    if (!side.owned->Forked()) return ThrowRaised(side, context);
  }
  LeaveForkedChild(context);
}

// Which rows of the source an item stands for.
struct Rows {
  int64_t first = 0;
  int64_t count = pipeline::Chunk::kNoRows;
};
Rows RowsOfItem(const pipeline::Item& item);

// The positional arguments: the item, then those of the call with the rows that the item stands
// for.
capi::Ref ArgumentsFor(ModuleState* state, const PythonCall& call, PyObject* item,
                       const Rows& rows);
capi::Ref CallWith(ModuleState* state, const PythonCall& call, PyObject* item, const Rows& rows);

// What a call sees of an item that goes on: from then on nobody may write into it.
capi::Ref SharedWith(const PythonSide& side, const pipeline::Item& item);

// ---- what becomes of results ----

// Of map. `came_in`: rows and credit of the item; `is_same`: the result is that item.
struct CameIn {
  Rows rows;
  pipeline::Credit credit;
};
base::Status EmitResult(const PythonSide& side, capi::Ref result, bool is_same, CameIn came_in,
                        bool to_arrays, pipeline::Context& context);
// The same in two steps, of which the second need not be attached.
pipeline::Item ItemOfResult(const PythonSide& side, capi::Ref result, const Rows& rows,
                            bool to_arrays);
base::Status EmitItem(pipeline::Item made, bool is_same, CameIn came_in,
                      pipeline::Context& context);

// Of filter: drops the item (it is null then), or says which rows of it go on. `object` is the item
// as the function saw it.
std::optional<pipeline::Part> Judge(const PythonSide& side, PyObject* object, PyObject* result,
                                    pipeline::Item* item);
// Then, detached.
base::Status EmitJudged(pipeline::Item item, const std::optional<pipeline::Part>& mask,
                        pipeline::Context& context);

// Of flat_map: emits the items of an iterable; or makes `rows`, where that is an array, whose rows
// pipeline::EmitRows emits detached.
struct EachHow {
  bool to_arrays;
  bool tuples = false;  // a tuple of arrays stands for rows as well
};
base::Status EmitEach(const PythonSide& side, capi::Ref iterable, const EachHow& how,
                      std::unique_ptr<pipeline::Item>* rows, pipeline::Context& context);
// Emits what the iterator gives, until that is enough for now, or the next ones take their time;
// the others come later.
base::Status EmitFrom(const PythonSide& side, capi::Ref iterator, bool to_arrays,
                      pipeline::Context& context);

// An item that a Python stage made, with the credit that it takes.
base::Status EmitMade(const PythonSide& side, capi::Ref object, bool to_arrays,
                      pipeline::Context& context);

}  // namespace spanflow::bindings
