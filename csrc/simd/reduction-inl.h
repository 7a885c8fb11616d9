// Turns a reduction's struct and a kind into a kernel, and its row into cells of the tables.
// Compiled once per SIMD target.
//
// Owns: nothing. Threads: thread-safe. Attached: not needed.
// Fails: a row whose struct cannot do a declared kind does not compile.
//
// A reduction is a struct template over the kind with
//   using State                                              // one of states.h
//   static void Update(State& state, const std::byte* in, size_t n);      // any n
//   static void Finish(const State& state, double ddof, void* out);       // one result
// One that derives from another and changes nothing but Finish shares its accumulator.
#if defined(SPANFLOW_SIMD_REDUCTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SPANFLOW_SIMD_REDUCTION_INL_H_
#undef SPANFLOW_SIMD_REDUCTION_INL_H_
#else
#define SPANFLOW_SIMD_REDUCTION_INL_H_
#endif

#include <new>

#include "hwy/highway.h"
#include "simd/ops.h"
#include "simd/states.h"
#include "simd/tables.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {

template <class State>
void InitState(Accumulator* acc) {
  new (acc->bytes) State();
}

template <class State, void (*kUpdate)(State&, const std::byte*, size_t)>
void UpdateState(Accumulator* acc, const void* in, size_t n) {
  kUpdate(StateOf<State>(acc), static_cast<const std::byte*>(in), n);
}

template <class State>
void MergeStates(Accumulator* acc, const Accumulator* other) {
  StateOf<State>(acc).Merge(StateOf<State>(other));
}

template <class Reduced>
void FinishState(const Accumulator* acc, double ddof, void* out) {
  Reduced::Finish(StateOf<typename Reduced::State>(acc), ddof, out);
}

template <class State>
bool StateIsDone(const Accumulator* acc) {
  return StateOf<State>(acc).Done();
}

template <class Reduced>
constexpr ReductionKernel KernelOf() {
  using State = typename Reduced::State;
  ReductionKernel kernel = {&InitState<State>, &UpdateState<State, &Reduced::Update>,
                            &MergeStates<State>, &FinishState<Reduced>};
  if constexpr (requires(State state) { state.Done(); }) kernel.done = &StateIsDone<State>;
  return kernel;
}

template <template <base::Kind> class Reduced, Reduction kReduction>
void FillReduction(Tables* tables) {
  ForEachKind([tables]<base::Kind kKind>() {
    if constexpr (Contains(InfoOf(kReduction).kinds, kKind)) {
      tables->reductions[static_cast<size_t>(kReduction)][static_cast<size_t>(kKind)] =
          KernelOf<Reduced<kKind>>();
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
