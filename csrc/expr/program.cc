#include "expr/program.h"

#include <algorithm>
#include <map>
#include <utility>

#include "array/promote.h"

namespace spanflow::expr {
namespace {

using array::ComputeKind;
using base::Kind;

constexpr ValueId kNever = -1;

class Builder {
 public:
  Builder(const Graph& graph, const Pass& pass, bool careful)
      : graph_(graph), pass_(pass), careful_(careful) {}

  Program Run() {
    program_.shape = pass_.shape;
    FindNames();
    FindNeeded();
    AddLeaves();
    AddOutputs();
    AddSteps();
    JoinSteps();
    for (Output& output : program_.outputs) {
      if (!output.is_direct) output.from = place_[Index(Named(output.value))];
    }
    AddFolds();
    for (const ValueId id : pass_.filtered) {
      const Value& value = graph_[Named(id)];
      program_.filtered.push_back(
          {id, ComputeKind(value.kind), place_[Index(Named(id))], DomainOf(value.domain)});
    }
    for (Fold& fold : program_.folds) JoinFold(&fold);
    FindWholeNumbers();
    CompactRegisters();
    return std::move(program_);
  }

 private:
  static size_t Index(ValueId id) { return static_cast<size_t>(id); }
  // What comes into a pass from outside.
  static bool IsLeaf(const Value& value) {
    return value.type == NodeType::kArray || value.type == NodeType::kNumber ||
           value.type == NodeType::kReduce;
  }

  // A cast that changes nothing about what lies in a register is another name for its operand.
  void FindNames() {
    names_.resize(graph_.values.size());
    for (size_t i = 0; i < names_.size(); ++i) {
      const Value& value = graph_.values[i];
      const bool is_same = value.type == NodeType::kCast && ComputeKind(value.kind) == value.kind &&
                           ComputeKind(graph_[value.operands[0]].kind) == value.kind;
      names_[i] = is_same ? Named(value.operands[0]) : static_cast<ValueId>(i);
    }
  }
  ValueId Named(ValueId id) const { return names_[Index(id)]; }

  // Marks what the pass computes, and for each value after which one it is not read any more.
  void FindNeeded() {
    const size_t count = graph_.values.size();
    last_use_.assign(count, kNever);
    place_.assign(count, 0);
    const auto end = static_cast<ValueId>(count);
    for (const Pass::Target& target : pass_.targets) last_use_[Index(Named(target.value))] = end;
    for (const ValueId id : pass_.filtered) last_use_[Index(Named(id))] = end;
    for (const ValueId id : pass_.reductions) {
      last_use_[Index(Named(graph_[id].operands[0]))] = end;
    }
    for (ValueId id = end; id-- > 0;) {
      if (!IsNeeded(id) || IsLeaf(graph_[id])) continue;
      for (const ValueId operand : graph_[id].operands) {
        if (operand == kNoValue) continue;
        ValueId& last = last_use_[Index(Named(operand))];
        last = std::max(last, id);
      }
    }
  }

  bool IsNeeded(ValueId id) const { return last_use_[Index(id)] != kNever; }

  template <class Body>
  void ForEachNeeded(const Body& body) {
    for (ValueId id = 0; id < static_cast<ValueId>(graph_.values.size()); ++id) {
      if (IsNeeded(id)) body(id, graph_[id]);
    }
  }

  void Widen(Kind kind) {
    program_.widest = std::max<int64_t>(program_.widest, base::InfoOf(kind).itemsize);
  }

  void AddLeaves() {
    ForEachNeeded([&](ValueId id, const Value& value) {
      if (value.type == NodeType::kArray) {
        program_.inputs.push_back({id, graph_.sources[value.index].layout});
      } else if (value.type == NodeType::kReduce) {
        const base::DType dtype(value.kind);
        program_.inputs.push_back(
            {id, {dtype, value.shape, base::ContiguousStrides(value.shape, dtype.itemsize())}});
      } else if (value.type == NodeType::kNumber) {
        program_.numbers.push_back({value.kind, value.item});
        Widen(value.kind);
      }
    });
    size_t input = 0, number = 0;
    ForEachNeeded([&](ValueId id, const Value& value) {
      if (!IsLeaf(value)) return;
      place_[Index(id)] = value.type == NodeType::kNumber ? program_.number_place(number++)
                                                          : static_cast<Place>(input++);
    });
  }

  void AddOutputs() {
    output_of_.assign(graph_.values.size(), -1);
    for (const Pass::Target& target : pass_.targets) {
      const ValueId id = Named(target.value);
      Output output{id, target.to, ComputeKind(graph_[id].kind)};
      int& first = output_of_[Index(id)];
      if (!careful_ && !IsLeaf(graph_[id]) && first < 0) {
        output.is_direct = true;
        first = static_cast<int>(program_.outputs.size());
      }
      program_.outputs.push_back(std::move(output));
    }
  }

  uint32_t DomainOf(ValueId mask) {
    if (mask == kNoValue) return 0;
    const auto [place, is_new] =
        domains_.try_emplace(mask, static_cast<uint32_t>(program_.domains));
    if (is_new) ++program_.domains;
    return place->second;
  }

  void AddSteps() {
    ForEachNeeded([&](ValueId id, const Value& value) {
      switch (value.type) {
        case NodeType::kOp:
          return AddOp(id, value);
        case NodeType::kCast:
          return AddCast(id, value);
        case NodeType::kFilter:
          return AddCompress(id, value);
        default:
          return;
      }
    });
  }

  void AddOp(ValueId id, const Value& value) {
    Step step{Step::Type::kOp};
    const simd::Op op = value.node->op;
    step.run = value.is_mixed ? simd::FindMixedCompare(op, graph_[value.operands[0]].kind,
                                                       graph_[value.operands[1]].kind)
                                    .run
                              : simd::FindKernel(op, value.compute).run;
    ReadOperands(value, &step);
    Emit(id, array::KernelResult(op, value.compute), step);
  }

  void AddCast(ValueId id, const Value& value) {
    const Kind from = ComputeKind(graph_[value.operands[0]].kind);
    const Kind to = ComputeKind(value.kind);
    Step step{Step::Type::kCast};
    ReadOperands(value, &step);
    step.cast = simd::FindCast(from, value.kind);
    if (value.kind == to) return Emit(id, to, step);
    // A 16-bit float: rounded to it, but computed with as float32.
    const Place rounded = TakeRegister(value.kind);
    Append(id, rounded, step);
    step.in[0] = rounded;
    step.cast = simd::FindCast(value.kind, to);
    Emit(id, to, step);
    free_.push_back(rounded);
  }

  void AddCompress(ValueId id, const Value& value) {
    Step step{Step::Type::kCompress};
    const Kind kind = ComputeKind(value.kind);
    step.itemsize = base::InfoOf(kind).itemsize;
    step.to_domain = DomainOf(value.domain);
    ReadOperands(value, &step);
    Emit(id, kind, step);
  }

  void ReadOperands(const Value& value, Step* step) {
    for (size_t i = 0; i < value.operands.size(); ++i) {
      const ValueId operand = value.operands[i];
      if (operand == kNoValue) continue;
      step->in[i] = place_[Index(Named(operand))];
      const Value& read = graph_[operand];
      if (read.domain != kNoValue || i == 0) step->domain = DomainOf(read.domain);
    }
  }

  Place TakeRegister(Kind kind) {
    Widen(kind);
    if (free_.empty()) free_.push_back(program_.register_place(program_.registers++));
    const Place place = free_.back();
    free_.pop_back();
    return place;
  }

  void Append(ValueId id, Place out, Step step) {
    step.out = out;
    step.value = id;
    program_.steps.push_back(step);
  }

  // The step that makes `id`, into its output or into a register that is not read any more.
  void Emit(ValueId id, Kind kind, const Step& step) {
    const int output = output_of_[Index(id)];
    const Place out =
        output >= 0 ? program_.output_place(static_cast<size_t>(output)) : TakeRegister(kind);
    place_[Index(id)] = out;
    Append(id, out, step);
    FreeAfter(id);
  }

  void FreeAfter(ValueId id) {
    const Place first = program_.register_place(0);
    std::vector<Place> done;
    for (const ValueId operand : graph_[id].operands) {
      if (operand == kNoValue || last_use_[Index(Named(operand))] != id) continue;
      const Place place = place_[Index(Named(operand))];
      if (place >= first && std::ranges::find(done, place) == done.end()) done.push_back(place);
    }
    free_.insert(free_.end(), done.begin(), done.end());
  }

  // Steps that follow one another become chains where all that the first makes is read by the
  // second: it stays in vector registers then.
  void JoinSteps() {
    std::vector<Step> steps = std::move(program_.steps);
    program_.steps.clear();
    for (const Step& step : steps) {
      if (!program_.steps.empty() && Joins(program_.steps.back(), step)) {
        Join(step, &program_.steps.back());
      } else {
        program_.steps.push_back(step);
      }
    }
  }

  bool MayBeLink(const Step& step) const {
    if (step.type == Step::Type::kChain) return step.chain.size < simd::kMaxLinks;
    if (step.type != Step::Type::kOp) return false;
    const Value& value = graph_[step.value];
    return simd::IsChainable(value.node->op) && simd::FindChain(value.compute).run != nullptr;
  }

  bool Joins(const Step& before, const Step& step) const {
    if (step.type != Step::Type::kOp || !MayBeLink(before) || !MayBeLink(step)) return false;
    if (last_use_[Index(before.value)] != step.value || before.domain != step.domain) return false;
    const Value& value = graph_[step.value];
    if (value.compute != graph_[before.value].compute) return false;
    const int arity = simd::InfoOf(value.node->op).arity;
    return arity < 3 ||
           (step.in[0] == before.out && step.in[1] != before.out && step.in[2] != before.out);
  }

  void Join(const Step& step, Step* chain) {
    MakeChain(chain);
    Link& link = AddLink(step, &chain->chain);
    std::ranges::replace(link.in, chain->out, Link::kRunning);
    chain->out = step.out;
    chain->value = step.value;
  }

  // A step that may be a link as a chain of one.
  void MakeChain(Step* step) {
    if (step->type == Step::Type::kChain) return;
    step->type = Step::Type::kChain;
    step->chain = {simd::FindChain(graph_[step->value].compute),
                   static_cast<uint32_t>(program_.links.size())};
    AddLink(*step, &step->chain);
  }

  Link& AddLink(const Step& step, Chain* chain) {
    ++chain->size;
    const simd::Op op = graph_[step.value].node->op;
    Link& link = program_.links.emplace_back();
    link.op = op;
    std::ranges::fill(link.in, Link::kRunning);
    std::copy_n(step.in.begin(), simd::InfoOf(op).arity, link.in.begin());
    return link;
  }

  // The sum of what only one step makes and nothing else reads: that step gives it to the sum
  // instead of writing it.
  void JoinFold(Fold* fold) {
    const auto made = FindSummand(*fold);
    if (made == program_.steps.end()) return;
    MakeChain(&*made);
    fold->chain = made->chain;
    fold->in = Link::kRunning;
    program_.steps.erase(made);
  }

  std::vector<Step>::iterator FindSummand(const Fold& fold) {
    std::vector<Step>& steps = program_.steps;
    const auto found = std::find_if(steps.rbegin(), steps.rend(),
                                    [&](const Step& step) { return step.out == fold.in; });
    if (found == steps.rend() || !IsSum(fold) || IsStored(fold.in)) return steps.end();
    const auto made = std::prev(found.base());
    // It is run after all steps.
    const bool is_apart = std::all_of(std::next(made), steps.end(), [&](const Step& later) {
      return !Reads(later, fold.in) && !Reads(*made, later.out);
    });
    const bool is_link = made->type == Step::Type::kChain || MayBeLink(*made);
    return is_apart && is_link && made->domain == fold.domain ? made : steps.end();
  }

  bool IsSum(const Fold& fold) const {
    return std::ranges::all_of(fold.values, [this](ValueId id) {
      const simd::Reduction reduction = graph_[id].node->reduction;
      return reduction == simd::Reduction::kSum || reduction == simd::Reduction::kMean;
    });
  }

  bool IsStored(Place place) const {
    return place < program_.register_place(0) ||
           std::ranges::count(program_.outputs, place, &Output::from) != 0 ||
           std::ranges::count(program_.filtered, place, &FilteredOutput::from) != 0;
  }

  bool Reads(const Step& step, Place place) const {
    if (step.type != Step::Type::kChain) return std::ranges::count(step.in, place) != 0;
    return std::ranges::any_of(program_.LinksOf(step.chain), [place](const Link& link) {
      return std::ranges::count(link.in, place) != 0;
    });
  }

  // Everything but a chain reads numbers block by block.
  void FindWholeNumbers() {
    const auto mark = [this](Place place) {
      if (program_.is_number(place)) {
        program_.numbers[place - program_.number_place(0)].is_whole = true;
      }
    };
    for (const Step& step : program_.steps) {
      if (step.type != Step::Type::kChain) std::ranges::for_each(step.in, mark);
    }
    for (const Pass::Target& target : pass_.targets) mark(place_[Index(Named(target.value))]);
    for (const ValueId id : pass_.filtered) mark(place_[Index(Named(id))]);
    for (const ValueId id : pass_.reductions) mark(place_[Index(Named(graph_[id].operands[0]))]);
  }

  // What only passed from link to link needs no register any more.
  void CompactRegisters() {
    const Place first = program_.register_place(0);
    std::map<Place, Place> kept;
    const auto move = [&](Place* place) {
      if (*place < first || *place == Link::kRunning) return;
      *place = kept.try_emplace(*place, first + static_cast<Place>(kept.size())).first->second;
    };
    for (Step& step : program_.steps) {
      if (step.type != Step::Type::kChain)
        std::ranges::for_each(step.in, [&](Place& p) { move(&p); });
      move(&step.out);
    }
    for (Link& link : program_.links) std::ranges::for_each(link.in, [&](Place& p) { move(&p); });
    for (Fold& fold : program_.folds) move(&fold.in);
    for (Output& output : program_.outputs) move(&output.from);
    for (FilteredOutput& output : program_.filtered) move(&output.from);
    program_.registers = kept.size();
  }

  void AddFolds() {
    std::map<ValueId, std::vector<ValueId>> by_operand;
    for (const ValueId id : pass_.reductions)
      by_operand[Named(graph_[id].operands[0])].push_back(id);
    for (auto& [operand, values] : by_operand) {
      std::vector<simd::Reduction> kinds;
      for (const ValueId id : values) kinds.push_back(graph_[id].node->reduction);
      const Value& value = graph_[operand];
      array::SharedKernels kernels(kinds, ComputeKind(value.kind));
      const size_t count = kernels.size();
      program_.folds.push_back({place_[Index(operand)],
                                {},
                                DomainOf(value.domain),
                                std::move(kernels),
                                program_.accumulators,
                                std::move(values)});
      program_.accumulators += count;
    }
  }

  const Graph& graph_;
  const Pass& pass_;
  const bool careful_;
  Program program_;
  std::vector<ValueId> names_;     // by value: the value whose place it shares, mostly its own
  std::vector<ValueId> last_use_;  // by value; kNever: not needed
  std::vector<Place> place_;       // by value
  std::vector<int> output_of_;     // by value: the output that its step writes to, or -1
  std::map<ValueId, uint32_t> domains_;
  std::vector<Place> free_;
};

}  // namespace

Program Build(const Graph& graph, const Pass& pass, bool careful) {
  return Builder(graph, pass, careful).Run();
}

}  // namespace spanflow::expr
