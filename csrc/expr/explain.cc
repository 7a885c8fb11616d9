// Computation::Explain: the program as text.
#include <string>

#include "expr/compute.h"
#include "expr/program.h"
#include "expr/stage.h"
#include "expr/text.h"

namespace spanflow::expr {
namespace {

std::string Grouped(int64_t number) {
  std::string text = std::to_string(number);
  for (size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, ",");
  return text;
}

std::string NumberText(const NumberInput& number, const Graph& graph) {
  for (const Value& value : graph.values) {
    if (value.type == NodeType::kNumber && value.kind == number.kind && value.item == number.item) {
      return ToString(value.node->number);
    }
  }
  return "?";
}

class Listing {
 public:
  Listing(const Graph& graph, const Runner& runner)
      : graph_(graph), runner_(runner), program_(runner.program()) {}

  std::string Text() {
    text_ += "over " + base::ToString(program_.shape) + " in blocks of " +
             Grouped(runner_.block()) + " elements\n";
    int64_t read = 0, written = 0;
    for (size_t i = 0; i < program_.inputs.size(); ++i) {
      const Input& input = program_.inputs[i];
      const bool is_source = graph_[input.value].type == NodeType::kArray;
      Line("in" + std::to_string(i),
           input.layout.dtype.ToString() + base::ToString(input.layout.shape) +
               (is_source ? "" : ", the result of " + NameOf(input.value)));
      read += input.layout.nbytes();
    }
    for (const Step& step : program_.steps) StepLine(step);
    for (const Fold& fold : program_.folds) {
      const std::string what = fold.chain.size != 0 ? ChainText(fold.chain) : PlaceText(fold.in);
      for (const ValueId id : fold.values) {
        Line(NameOf(id),
             std::string(simd::InfoOf(graph_[id].node->reduction).name) + "(" + what + ")");
      }
    }
    for (size_t i = 0; i < program_.outputs.size(); ++i) {
      const Output& output = program_.outputs[i];
      if (!output.is_direct) Line("out" + std::to_string(i), PlaceText(output.from));
      written += output.to.layout.nbytes();
    }
    for (const FilteredOutput& output : program_.filtered) {
      Line("out", "what is left in " + PlaceText(output.from));
    }
    text_ += "  reads " + Grouped(read) + " bytes, writes " + Grouped(written) +
             (program_.filtered.empty() ? " bytes" : " bytes and what is left");
    if (program_.registers != 0) {
      text_ += ", " + std::to_string(program_.registers) + " registers of " +
               Grouped(runner_.register_bytes()) + " bytes";
    }
    text_ += "\n";
    return text_;
  }

 private:
  static std::string NameOf(ValueId id) { return "v" + std::to_string(id); }

  void Line(const std::string& name, const std::string& what) {
    text_ += "  " + name + " = " + what + "\n";
  }

  std::string PlaceText(Place place) const {
    if (place < program_.inputs.size()) return "in" + std::to_string(place);
    if (place < program_.output_place(0)) {
      return NumberText(program_.numbers[place - program_.number_place(0)], graph_);
    }
    if (place < program_.register_place(0)) {
      return "out" + std::to_string(place - program_.output_place(0));
    }
    return "r" + std::to_string(place - program_.register_place(0));
  }

  // The links of a chain are inside one another.
  std::string CallText(simd::Op op, const std::array<Place, 3>& in, const std::string& running) {
    const simd::OpInfo& info = simd::InfoOf(op);
    std::string text = std::string(info.name) + "(";
    for (int i = 0; i < info.arity; ++i) {
      const Place place = in[static_cast<size_t>(i)];
      text += (i == 0 ? "" : ", ") + (place == Link::kRunning ? running : PlaceText(place));
    }
    return text + ")";
  }

  std::string ChainText(const Chain& chain) {
    std::string text;
    for (const Link& link : program_.LinksOf(chain)) text = CallText(link.op, link.in, text);
    return text;
  }

  void StepLine(const Step& step) {
    const Value& value = graph_[step.value];
    std::string what;
    switch (step.type) {
      case Step::Type::kOp:
        what = CallText(value.node->op, step.in, "");
        break;
      case Step::Type::kChain:
        what = ChainText(step.chain);
        break;
      case Step::Type::kCast:
        what = "cast(" + PlaceText(step.in[0]) + ")";
        break;
      case Step::Type::kCompress:
        what = PlaceText(step.in[0]) + "[" + PlaceText(step.in[1]) + "]";
        break;
    }
    Line(PlaceText(step.out), what + "  " + base::InfoOf(value.kind).name);
  }

  const Graph& graph_;
  const Runner& runner_;
  const Program& program_;
  std::string text_;
};

}  // namespace

std::string Computation::Explain() const {
  std::string text;
  for (size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = *stages_[i];
    text += "pass " + std::to_string(i + 1) + " of " + std::to_string(stages_.size()) + ", " +
            target_ + ", ";
    text += stage.runner != nullptr ? Listing(graph_, *stage.runner).Text() : "along axes\n";
    for (const Stage::Along& along : stage.along) {
      const Value& value = graph_[along.id];
      text += "  v" + std::to_string(along.id) + " = " + simd::InfoOf(value.node->reduction).name +
              " of an array along its axes\n";
    }
  }
  return text;
}

}  // namespace spanflow::expr
