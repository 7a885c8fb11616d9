// Stages whose functions are called by threads of the stage's own: workers= of the verbs.
//
// A thread of the run packs an item as an Errand; a thread of the stage (a server) calls the
// stage's handler with it and puts the result, or the exception, in its place; a thread of the run
// makes of that what the verb makes of results. A handler is what pkg/spanflow/_servers.py makes
// for each server: a callable that retries, asks a process, or runs coroutines.
//
// Owns: an Errand owns what it carries. Callables are borrowed from the Run object.
// Threads: an Errand belongs to one thread at a time; each server has its own handler.
// Attached: the factories need it; servers attach for each call and hold no reference while they
// wait, so that a run that nobody has is seen as garbage.
// Fails: what the function raises takes the place of its item; with `skips` it goes on as a
// Skipped.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "bindings/pipeline_calling.h"
#include "bindings/pipeline_parcel.h"
#include "pipeline/calls.h"

namespace spanflow::bindings {

enum class Verb : uint8_t { kMap, kFilter, kFlatMap, kTap };
enum class Where : uint8_t { kThread, kProcess, kAsync, kInterpreter };

struct Service {
  Verb verb;
  Where where;
  int servers;       // threads
  int places;        // items inside at once
  bool tuned;        // only as many of them as help
  PyObject* make;    // make(calls) gives a server's handler; for interpreters a bytes object
  PyObject* pack;    // of spanflow._crossing
  PyObject* unpack;  // of spanflow._crossing
  bool skips;        // an Exception goes on as a Skipped
  bool to_arrays;
};

struct SkipLimits {
  int64_t count;  // -1: any
  double rate;    // -1: any
};

// (where, servers, places, tuned, make, pack, unpack, skips, count, rate), as _servers.py describes
// it; everything is borrowed from the tuple.
Service ServiceFrom(PyObject* description, const std::string& verb, bool to_arrays,
                    SkipLimits* limits);

// `call` has the name and the aligned arguments; its callable is only a name.
std::shared_ptr<const pipeline::Stage> ServedStage(PythonSide side, PythonCall call,
                                                   Service service);

// Behind a stage that skips: drops what was skipped and keeps the exceptions in `letters`, a list,
// unless they are more than `count`, or than the share `rate` of the items so far (rounded up);
// then it raises the one that is too much.
std::shared_ptr<const pipeline::Stage> SkipStage(PythonSide side, const std::string& name,
                                                 SkipLimits limits, PyObject* letters);

class Errand final : public pipeline::Value {
 public:
  int64_t nbytes() const override { return nbytes_of_item; }

  pipeline::Item item;
  CameIn came_in;
  int64_t nbytes_of_item = 0;
  bool is_same = false;                 // the result is the item
  std::unique_ptr<PythonValue> result;  // one of these four afterwards
  pipeline::Item made;                  // of a map to no arrays: what goes on
  std::unique_ptr<PythonValue> exception;
  std::optional<Parcel> parcel;  // to an interpreter: the arguments; back: the result, or an error
};

// What the servers of one stage of a run share.
struct Desk {
  const PythonSide side;
  const PythonCall& call;
  const Service& service;
  std::shared_ptr<pipeline::Calls> calls;

  bool single() const { return PyTuple_GET_SIZE(call.args) == 0; }  // the item is the only argument
  // Attached: the arguments of the handler, a tuple.
  capi::Ref ArgumentsOf(Errand& errand) const;

  // Runs `work` attached. Gives back the exception that it throws.
  template <class Work>
  std::unique_ptr<PythonValue> Try(pipeline::Context& context, Work&& work) const;
};

template <class Work>
std::unique_ptr<PythonValue> Desk::Try(pipeline::Context& context, Work&& work) const {
  const StageAttach attached(context, side.state->hub);
  if (!attached.ok()) {
    calls->Stop();  // the interpreter is going away
    return nullptr;
  }
  const CallScope scope(side.owned->calls);
  try {
    work();
    if (!side.owned->Forked()) return nullptr;
  } catch (...) {
    capi::SetErrorFromCurrentException();
    if (!side.owned->Forked()) {
      return std::make_unique<PythonValue>(side.owned, TakeRaisedForItem());
    }
  }
  LeaveForkedChild(context);
}

inline Errand& ErrandIn(pipeline::Call& call) { return static_cast<Errand&>(*call.item); }

// The whole work of one server that has an interpreter of its own.
void ServeInInterpreter(const Desk& desk, pipeline::Context& context);

// Calls that a handler has taken itself and not answered yet, by number.
class InHand {
 public:
  explicit InHand(const Desk& desk) : desk_(desk) {}
  // Attached. (number, arguments); the call is taken unless that throws.
  capi::Ref Accept(pipeline::Call* call);
  capi::Ref TakeOrNone();
  void Answer(int64_t number, std::unique_ptr<PythonValue> result,
              std::unique_ptr<PythonValue> exception);
  const Desk& desk() const { return desk_; }
  // Answers all that is left with this exception.
  void FailAll(PyObject* exception);

 private:
  struct Taken {
    pipeline::Call call;
    int64_t since;
  };
  const Desk& desk_;
  int64_t last_ = 0;
  std::map<int64_t, Taken> taken_;
};

// The object that handlers know the stage's calls by: spanflow._core._Calls.
capi::Ref NewCalls(ModuleState* state, std::shared_ptr<pipeline::Calls> calls,
                   InHand* in_hand = nullptr);
void EndCalls(PyObject* calls);  // in_hand is not used any more
extern PyType_Spec calls_spec;

}  // namespace spanflow::bindings
