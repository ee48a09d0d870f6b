"""Plant faults that look right, one at a time, and show that each turns a named test red.

    python tools/mutants.py            # all of them, two or three minutes
    python tools/mutants.py gelu       # those whose file, code or test holds a word

Run before a release, in the environment of tools/test.sh. Each fault is one changed line in a copy
of the package. The table names the test that should notice; if that test stays green, the fault
SURVIVED, and the tests have a hole.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Mutant(NamedTuple):
    """One line of a file, what it becomes, and the test that must then fail."""

    file: str
    old: str
    new: str
    test: str


GOLDEN = "test_golden.py::test_vectors_equal_sentence_transformers"
HIDDEN = "test_golden.py::test_the_last_hidden_state_equals_transformers_at_every_token"
POOLER = "test_golden.py::test_the_pooler_output_equals_transformers[gelu]"
LAYER_NORM = "test_kernels.py::test_layer_norm_agrees_with_the_textbook_in_float64"
ACTIVATION = "test_kernels.py::test_activations_agree_with_the_textbook_in_float64"

POOLED = "test_golden.py::test_every_pooling_equals_sentence_transformers"
NOTHING_LEFT = "test_pooling.py::test_a_text_with_nothing_left_is_what_the_reference_makes_of_it"
MODULES = "test_golden.py::test_modules_around_the_pooling_equal_sentence_transformers"
CROSS = "test_golden.py::test_a_cross_encoder_s_logits_equal_the_reference_s"
ONE_LABEL = "test_cross_encoder.py::test_one_label_gives_a_number_a_pair_and_several_a_row"
MASKED = "test_golden.py::test_probabilities_of_masked_words_equal_the_reference_s"
EXPLAIN = "test_explain.py::test_"
STRONGEST = EXPLAIN + "contributions_are_summed_to_words_and_the_strongest_come_first"
OBEYED = "test_cli.py::test_explain_shows_control_characters_and_obeys_none"
FACTORS = "test_pooling.py::test_a_text_s_states_times_their_factors_sum_to_its_vector"
TRACE = "test_trace.py::test_"
TEXTBOOK = TRACE + "each_step_follows_from_those_before_it_by_the_textbook"
ENCODER = "test_encoder.py::test_"
PAIR_CUT = "test_tokens.py::test_a_pair_is_cut_like_the_tokenizers_library_cuts_it"
TOP_K = "test_best.py::test_the_highest_scores_come_best_first_and_ties_by_column[3]"
SAVED = "test_saving.py::test_"
PROCESSES = "test_processes.py::test_"
DEVICES = "test_devices.py::test_"
BERT = "test_bert.py::test_"
SHARES = "test_shares.py::test_"
CUPY = "test_cupy.py::test_"
CONVERT = "test_convert.py::test_"
HUB = "test_hub.py::test_"
LET_GO = "test_checkpoint.py::test_what_is_copied_or_hardly_needed_leaves_the_memory_again"
INT8 = "test_quantization.py::test_int8_rounds_down_and_is_not_symmetric"
PICTURES = "test_pictures.py::test_"
SINGULAR = "test_projection.py::test_components_are_the_singular_vectors_of_the_centred_matrix"
PARAPHRASES = "test_mining.py::test_paraphrases_are_the_best_pairs_of_all[chunks1-1-cos_sim]"

MUTANTS = [
    # arithmetic
    Mutant("kernels.py", "            rows += bias\n", "            pass\n",
           "test_kernels.py::test_linear_agrees_with_the_textbook_in_float64"),
    Mutant("kernels.py", "range(CHAIN, len(weight), CHAIN)", "range(CHAIN, len(weight) - 1, CHAIN)",
           "test_kernels.py::test_linear_agrees_at_every_number_of_chains"),
    Mutant("kernels.py", "np.sqrt(variance + epsilon)", "(np.sqrt(variance) + epsilon)",
           LAYER_NORM + "[0.01]"),
    Mutant("kernels.py", "np.sqrt(variance + epsilon)", "np.sqrt(variance + 1e-12)",
           GOLDEN + "[large_epsilon]"),
    Mutant("kernels.py", "np.vecdot(rows, rows) / width", "np.vecdot(rows, rows) / (width - 1)",
           LAYER_NORM + "[1e-12]"),
    Mutant("kernels.py", 'rows -= (np.einsum("nd->n", rows) / width)[:, None]', "pass",
           LAYER_NORM + "[1e-12]"),
    Mutant("kernels.py", "            fraction += square\n", "", ACTIVATION + "[gelu_]"),
    Mutant("kernels.py", "inner *= 0.044715 * (2 / np.pi) ** 0.5", "inner *= 0.044715",
           ACTIVATION + "[gelu_tanh_]"),
    Mutant("kernels.py", '"...t->...", logits)[..., None]', '"...t->...", logits)[..., None] + 1',
           "test_kernels.py::test_softmax_agrees_with_the_textbook_in_float64"),
    Mutant("kernels.py", "logits -= logits.max(axis=-1, keepdims=True)", "pass",
           "test_kernels.py::test_softmax_of_huge_logits_does_not_overflow"),
    Mutant("kernels.py", "starts = np.cumsum(lengths) - lengths", "starts = np.cumsum(lengths) - 1",
           "test_kernels.py::test_segment_sum_adds_the_rows_of_each_text"),
    Mutant("kernels.py", "np.maximum(lengths, 1e-12)[..., None]", "lengths[..., None]",
           "test_kernels.py::test_normalize_leaves_a_row_of_zeros_as_it_is"),
    # the forward pass
    Mutant("activations.py", '"gelu": lambda kernels, x, bias=None: kernels.gelu_(',
           '"gelu": lambda kernels, x, bias=None: kernels.gelu_tanh_(', GOLDEN + "[gelu]"),
    Mutant("activations.py", '"gelu_new": lambda kernels, x, bias=None: kernels.gelu_tanh_(',
           '"gelu_new": lambda kernels, x, bias=None: kernels.gelu_(', GOLDEN + "[gelu_new]"),
    Mutant("activations.py", '"silu": lambda kernels, x, bias=None: kernels.silu_(x, bias=bias)',
           '"silu": lambda kernels, x, bias=None: kernels.relu_(x, bias)', GOLDEN + "[silu]"),
    Mutant("bert.py", "[pack.token_types, pack.positions]", "[0, pack.positions]",
           "test_padded.py::test_token_types_count_and_default_to_0"),
    Mutant("bert.py", "pack.token_types, pack.positions]", "pack.token_types, pack.positions - 1]",
           GOLDEN + "[gelu]"),
    Mutant("bert.py", "shift, before[place], weight", "shift, None, weight", GOLDEN + "[relu]"),
    Mutant("bert.py", "add_and_normalise(hidden, *norm, forward)",
           "add_and_normalise(context, *norm, forward)",
           GOLDEN + "[relu]"),
    Mutant("bert.py", "q, k, v = project", "k, q, v = project",
           "test_golden.py::test_all_attentions_equal_transformers[gelu-right]"),
    Mutant("packing.py", "lengths[index + 1] != length", "lengths[index + 1] > length",
           "test_padded.py::test_padding_changes_no_state_of_a_token"),
    Mutant("bert.py", "    kernels.tanh_(pooled)\n", "", POOLER),
    Mutant("bert.py", 'then)  # (N, D)\n    forward.show("output", hidden)',
           'then)  # (N, D)\n    forward.show("output", hidden + 1)',
           "test_golden.py::test_every_hidden_state_equals_transformers[gelu-right]"),
    # why a score is what it is
    Mutant("bert.py", "            weights /= sums\n", "            pass\n",
           TRACE + "states_and_attentions_are_those_of_the_padded_view[gelu]"),
    Mutant("bert.py", "forward.show(name, x)", "forward.show(name, q)", TEXTBOOK),
    Mutant("bert.py", 'forward.show("context", context)', 'forward.show("context", v)', TEXTBOOK),
    Mutant("bert.py", 'forward.show("intermediate", inner)',
           'forward.show("intermediate", inner.copy())',
           TRACE + "whoever_watches_is_shown_the_arrays_themselves"),
    Mutant("trace.py", "np.array(take(array), dtype", "np.asarray(take(array), dtype", TEXTBOOK),
    Mutant("trace.py", "return name in self.shapes", "return name in self._arrays",
           TRACE + "nothing_is_computed_before_an_array_is_asked_for"),
    Mutant("trace.py", "    @cached_property\n", "    @property\n",
           TRACE + "the_model_is_run_once_whatever_is_asked_for"),
    Mutant("trace.py", "else layer @ flow", "else flow @ layer", TRACE + "rollout_by_hand"),
    Mutant("trace.py", "self._rows.cut.report(1, encoding.limit, encoding.on_long)", "pass",
           TRACE + "a_text_that_is_cut_is_reported_as_encode_does"),
    Mutant("transformer.py", "        self._check_rows([ids], of_one)\n", "",
           TRACE + "a_text_above_the_positions_is_refused_as_encode_does"),
    Mutant("pooling.py", "np.array([len(left)]), skipped, kernels)",
           "np.array([len(left)]), 0, kernels)", FACTORS + "[weightedmean-2]"),
    Mutant("pooling.py", "((skipped, 0), (0, 0))", "((0, skipped), (0, 0))",
           FACTORS + "[mean-2]"),
    Mutant("pooling.py", "left.argmax(axis=0)", "np.abs(left).argmax(axis=0)",
           FACTORS + "[max-0]"),
    Mutant("explain.py", "parts.mean(axis=1, keepdims=True)", "parts.mean()",
           EXPLAIN + "a_layer_norm_has_the_mean_and_the_variance_of_the_whole_vector"),
    Mutant("explain.py", "total.var()", "parts.var()",
           EXPLAIN + "a_layer_norm_has_the_mean_and_the_variance_of_the_whole_vector"),
    Mutant("explain.py", "scaled + share * module.bias", "scaled + module.bias",
           EXPLAIN + "pairs_of_tokens_sum_to_the_score_after_linear_modules[None-dot]"),
    Mutant("explain.py", "factor.sum(axis=1, keepdims=True) / factor.sum()",
           "np.full((len(parts), 1), 1 / len(parts))",
           EXPLAIN + "a_linear_dense_is_applied_to_each_token_with_its_share_of_the_bias"
           "[weightedmean-True]"),
    Mutant("explain.py", "parts @ module.weight + share", "parts @ module.weight + 0 * share",
           EXPLAIN + "pairs_of_tokens_sum_to_the_score_after_linear_modules[None-cosine]"),
    Mutant("explain.py", "parts if module.residual is None else", "parts if True else",
           EXPLAIN + "a_linear_dense_is_applied_to_each_token_with_its_share_of_the_bias"
           "[mean-True]"),
    Mutant("explain.py", ' and module.activation == "linear"', "",
           EXPLAIN + "a_dense_with_an_activation_is_refused_by_name"),
    Mutant("explain.py", "parts[:, : model.get_embedding_dimension()]", "parts",
           EXPLAIN + "pairs_of_tokens_sum_to_the_score_after_linear_modules[4-dot]"),
    Mutant("explain.py", "q, d = normalized(q), normalized(d)", "pass",
           EXPLAIN + "pairs_of_tokens_sum_to_the_score_on_random_weights[gelu]"),
    Mutant("explain.py", "-abs(pair.contribution)", "-pair.contribution", STRONGEST),
    Mutant("explain.py", "np.outer(rows, columns)", "np.add.outer(rows, columns)", STRONGEST),
    Mutant("explain.py", "place == 0 or number is None or", "place == 0 or",
           EXPLAIN + "an_empty_text_is_its_special_tokens"),
    Mutant("explain.py", '" ".join(filter(None, sides))', '"".join(filter(None, sides))',
           EXPLAIN + "leaving_a_word_out_is_encoding_the_text_without_it"),
    Mutant("explain.py", "scores[0] - score)", "score - scores[0])",
           EXPLAIN + "leaving_a_word_out_is_encoding_the_text_without_it"),
    Mutant("explain.py", "is_special and end > prompt", "is_special and start >= prompt",
           EXPLAIN + "a_word_that_grows_together_with_the_prompt_is_left_out_without_it"),
    Mutant("explain.py", 'model.on_long == "window"', "False",
           EXPLAIN + "a_long_text_is_explained_as_it_was_read_and_what_was_cut_is_said"),
    Mutant("nearest.py", " / np.maximum(lengths, 1e-12)", "",
           "test_nearest.py::test_the_order_is_that_of_the_cosines_of_all_words[7]"),
    Mutant("nearest.py", "np.arange(start, start + len(rows))", "np.arange(len(rows))",
           "test_nearest.py::test_the_order_is_that_of_the_cosines_of_all_words[7]"),
    Mutant("escapes.py", "sign.isprintable() or sign in JOINERS", "True",
           "test_terminal.py::test_a_terminal_is_shown_a_text_and_obeys_none"),
    Mutant("pictures/terminal.py", "FOR if step > 0", "FOR if step",
           "test_terminal.py::test_a_word_is_painted_on_its_shade_or_has_signs"),
    Mutant("commands/explain.py", "visible(pair.query.text)", "pair.query.text", OBEYED),
    Mutant("commands/explain.py", "visible(found.word.text)", "found.word.text", OBEYED),
    Mutant("commands/explain.py", "return query, read_whole(document) if is_read else document",
           "return query, document",
           "test_cli.py::test_explain_reads_the_document_whole_from_standard_input[arguments0]"),
    Mutant("commands/texts.py", '"\\n".join(lines_in(name))', '"".join(lines_in(name))',
           "test_cli.py::test_explain_reads_the_document_whole_from_standard_input[arguments0]"),
    Mutant("commands/explain.py", 'set_defaults(on_long="ignore", ', "set_defaults(",
           "test_cli.py::test_explain_says_what_was_cut_off"),
    # families beside BERT
    Mutant("families.py", "np.cumsum(real) * real + config.pad_token_id",
           "np.cumsum(real) * real + config.pad_token_id - 1", GOLDEN + "[roberta]"),
    Mutant("families.py", "np.cumsum(real) * real +", "np.arange(1, len(ids) + 1) +",
           "test_families.py::test_positions_begin_where_the_family_says[roberta]"),
    Mutant("families.py", "32, 46, 64, 91)", "32, 46, 64, 90)",
           "test_families.py::test_buckets_of_distances_grow_like_a_logarithm"),
    Mutant("families.py", "* (behind > 0)", "* (behind < 0)", GOLDEN + "[mpnet]"),
    Mutant("families.py", "int(number / layers_of_a_group)", "int(number % 2)",
           "test_families.py::test_layers_that_are_used_again_are_in_memory_once"),
    Mutant("families.py", '"sa_layer_norm"', '"output_layer_norm"', GOLDEN + "[distilbert]"),
    Mutant("families.py", '{"layer_norm_eps": 1e-12, "type_vocab_size": 1}',
           '{"layer_norm_eps": 1e-3, "type_vocab_size": 1}', GOLDEN + "[distilbert]"),
    Mutant("bert.py", "weights += bias[:, : run.longest, : run.longest]", "pass",
           GOLDEN + "[mpnet]"),
    Mutant("bert.py", "        hidden = forward.kernels.linear(hidden, *projection)",
           "        forward.kernels.linear(hidden, *projection)", GOLDEN + "[electra]"),
    Mutant("bert.py", "if chosen is not None and last is None:", "if False:",
           "test_families.py::test_a_bias_by_distance_is_that_of_the_token_that_is_read[cls]"),
    Mutant("shares.py", "np.split(bias, count)", "np.split(bias, count)[::-1]",
           "test_families.py::test_threads_that_share_a_text_share_the_bias_by_distance"),
    Mutant("tokenizer_classes.py", "unigram(folder, settings, content, 1)",
           "unigram(folder, settings, content, 0)", GOLDEN + "[albert]"),
    Mutant("tokenizer_classes.py", 'pair=f"{begin} $A {end} {end} $B {end}"',
           'pair=f"{begin} $A {end} $B {end}"',
           "test_families.py::test_two_ends_stand_between_the_texts_of_a_pair[roberta]"),
    Mutant("rotary.py", "first * turns.cosines - second", "first * turns.cosines + second",
           GOLDEN + "[nomic_bert]"),
    Mutant("rotary.py", "config.local_attention // 2", "config.local_attention // 2 - 1",
           GOLDEN + "[modernbert]"),
    Mutant("rotary.py", "near if local else every", "every", GOLDEN + "[modernbert]"),
    Mutant("rotary.py", "activation(kernels, inner)", "activation(kernels, gate)",
           GOLDEN + "[nomic_bert]"),
    Mutant("rotary.py", "rows = hidden.copy()", "rows = hidden", GOLDEN + "[modernbert]"),
    Mutant("checkpoint.py", "qkv[:, :width] *= scale  # as in read_layer", "pass",
           GOLDEN + "[nomic_bert]"),
    Mutant("cross_encoder.py", "ACTIVATIONS[self._activation](kernels, pooled)", "pass",
           "test_golden.py::test_a_cross_encoder_s_logits_equal_the_reference_s"),
    # packs and vectors
    Mutant("packing.py", " - np.repeat(firsts(lengths), lengths)", "",
           "test_packing.py::test_packs_hold_every_text_once_within_the_budget"),
    Mutant("packing.py", "length > pack_tokens", "length >= pack_tokens",
           "test_packing.py::test_a_pack_is_filled_to_the_budget_exactly"),
    Mutant("pooling.py", "    vectors /= kernels.floats(lengths)[:, None]\n", "",
           GOLDEN + "[gelu]"),
    Mutant("pooling.py", "np.cumsum(lengths) - 1\n", "np.cumsum(lengths) - 2\n",
           POOLED + "[lasttoken-True]"),
    Mutant("pooling.py", "np.sqrt(lengths)", "np.sqrt(lengths + 1)",
           POOLED + "[mean_sqrt_len_tokens-True]"),
    Mutant("pooling.py", "places_of(lengths) + 1 + skipped", "places_of(lengths) + 1",
           POOLED + "[weightedmean-False]"),
    Mutant("pooling.py", "places_of(lengths) + 1 + skipped", "places_of(lengths) + skipped + 2",
           POOLED + "[weightedmean-True]"),
    Mutant("pooling.py", "places >= skipped", "places > skipped", POOLED + "[mean-False]"),
    Mutant("pooling.py", "number * width, (number + 1) * width", "0, width",
           POOLED + "[backwards-True]"),
    Mutant("pooling.py", '-np.inf if mode == "max" else 0.0', "0.0", NOTHING_LEFT + "[max]"),
    Mutant("pooling.py", 'for text in empty if mode != "cls" else ():', "for text in empty:",
           NOTHING_LEFT + "[cls]"),
    Mutant("pooling.py", "self.bias, ROW_NORM_EPSILON)", "self.bias, 1e-12)",
           "test_pooling.py::test_a_row_norm_has_the_epsilon_of_torch_and_not_of_bert"),
    Mutant("pooling.py", "        ACTIVATIONS[self.activation](kernels, projected)\n", "", MODULES),
    Mutant("pooling.py", "if self.residual is None else", "if True else",
           "test_pooling.py::test_a_projection_agrees_with_the_textbook[projected]"),
    Mutant("pipeline.py", "0 if self.pooling.include_prompt else prompt_length", "prompt_length",
           POOLED + "[mean-True]"),
    Mutant("pipeline.py", "(after if pooling else before)", "(after)", MODULES),
    Mutant("vectors.py", "vectors[pack.order] = rows", "vectors[sorted(pack.order)] = rows",
           GOLDEN + "[gelu]"),
    Mutant("vectors.py", "[:, : self.width]", "[:, -self.width :]",
           "test_encoder.py::test_truncate_dim_comes_before_normalize_embeddings"),
    Mutant("vectors.py", "return len(ids) - (len(ids) > 0", "return len(ids) - 2 * (len(ids) > 0",
           POOLED + "[mean-False]"),
    Mutant("vectors.py", "(pack.lengths - skipped).astype", "np.ones_like(pack.lengths).astype",
           ENCODER + "a_long_text_in_windows_is_the_mean_over_all_their_tokens"),
    Mutant("vectors.py", "len(row) - skipped for row in rows", "len(row) for row in rows",
           ENCODER + "windows_leave_out_a_prompt_that_does_not_count"),
    Mutant("vectors.py", "-characters_of(text)", "characters_of(text)",
           ENCODER + "all_of_a_text_is_padded_to_its_batch_of_the_longest_first"),
    Mutant("tokens.py", "prompt + text if isinstance(text, str)",
           "text if isinstance(text, str)", ENCODER + "prompts_go_before_the_text"),
    Mutant("encoder.py", "normalize_embeddings and output_value == ", "output_value == ",
           GOLDEN + "[gelu]"),
    Mutant("encoder.py", 'else ("document", "passage", "corpus")', 'else ("passage",)',
           ENCODER + "queries_and_documents_have_their_own_prompts"),
    Mutant("metrics.py", "if name in DOT_PRODUCT_MODELS:", "if not name:",
           ENCODER + "the_flagship_is_scored_by_the_dot_product"),
    # scores
    Mutant("scores.py", "left, right = map(normalize_embeddings, rows_of(a, b))",
           "left, right = rows_of(a, b)",
           "test_scores.py::test_cos_sim_divides_by_both_lengths_and_a_zero_vector_scores_0"),
    Mutant("scores.py", "wide = right.astype(np.float64)", "wide = right",
           "test_scores.py::test_distances_are_negative_and_exact_for_neighbours"),
    # best, ranking
    Mutant("best.py", "(number, -scores, row)", "(-number, -scores, row)", TOP_K),
    Mutant("best.py", "- 2 * self.error", "- 0 * self.error",
           "test_best.py::test_estimates_within_their_error_do_not_change_the_best"),
    Mutant("ranking.py", "self.epsilons * metric.size", "0.01 * self.epsilons * metric.size",
           "test_ranking.py::test_an_estimate_that_is_off_by_its_bound_is_still_scored"),
    Mutant("ranking.py", "= np.nan  # and not 0", "*= 1  # and not 0",
           "test_ranking.py::test_numbers_whose_squares_are_beyond_float32_are_refused[cosine]"),
    Mutant("writing.py", "if (folder / SHARDS).is_symlink():", "if False:",
           "test_corpus.py::test_shards_that_a_link_puts_elsewhere_are_not_written_to"),
    Mutant("ranking.py", "estimates -= block.squares / 2", "estimates -= block.squares / 2.02",
           "test_ranking.py::test_the_nearest_are_those_of_a_ranking_in_float64[float16-euclidean]"),
    Mutant("quantization.py", "np.floor(", "np.round(", INT8),
    Mutant("quantization.py", "(codes - 128)", "(codes - 127)", INT8),
    Mutant("quantization.py", "steps = np.where(steps == 0, 1, steps)", "steps = steps + 1e-3",
           INT8),
    Mutant("quantization.py", "vectors > 0", "vectors >= 0",
           "test_quantization.py::test_bits_are_packed_the_first_dimension_highest"),
    Mutant("mining.py", "scores >= threshold", "scores > threshold + 0.3",
           "test_mining.py::test_a_vector_in_two_groups_stays_with_the_larger"),
    Mutant("mining.py", "free = members[~taken[members]]", "free = members",
           "test_mining.py::test_a_vector_in_two_groups_stays_with_the_larger"),
    Mutant("mining.py", "stack, top_k + 1, score", "stack, top_k, score", PARAPHRASES),
    Mutant("mining.py", "np.cumsum(others, axis=1) <= top_k", "True",
           PARAPHRASES.replace("cos_sim", "dot_score")),
    # heads
    Mutant("cross_encoder.py", "else firsts,", "else lambda lengths: firsts(lengths) + 1,", CROSS),
    Mutant("cross_encoder.py", "scores = scores[:, 0]", "scores = scores[0]", ONE_LABEL),
    Mutant("cross_encoder.py", 'default = "sigmoid" if', 'default = "tanh" if', ONE_LABEL),
    Mutant("masked_lm.py", "head.norm_bias, config.layer_norm_eps", "head.norm_bias, 1e-12",
           MASKED),
    Mutant("masked_lm.py", "ACTIVATIONS[config.hidden_act]", 'ACTIVATIONS["gelu"]', MASKED),
    Mutant("masked_lm.py", "np.zeros(words, dtype=np.float32) if bias is None else bias",
           "np.zeros(words, dtype=np.float32)", MASKED),
    Mutant("padded.py", "self._seen = (self._seen + 1)", "self._seen = self._seen",
           "test_padded.py::test_rows_of_one_length_keep_their_attentions_apart"),
    Mutant("padded.py", "positions_of(ids[index], self.config)[here] for index, here",
           "np.arange(len(here)) for index, here", HIDDEN + "[gelu-left]"),
    # words
    Mutant("tokens.py", "limit - frame.size(len(pieces))", "limit",
           "test_tokens.py::test_the_limit_counts_cls_and_sep_and_keeps_both"),
    Mutant("tokens.py", "[min(lengths[0], room)]", "[min(lengths[0], room - 1)]",
           "test_tokens.py::test_a_text_of_exactly_the_limit_is_not_cut"),
    Mutant("tokens.py", "room // 2 + room % 2", "room // 2", PAIR_CUT),
    Mutant("tokens.py", "swapped = lengths[0] > lengths[1]", "swapped = lengths[0] >= lengths[1]",
           PAIR_CUT),
    Mutant("tokens.py", "max(shorter, room - shorter)", "room - shorter", PAIR_CUT),
    Mutant("tokens.py", "pair_types: tuple[int, ...] = (0, 0, 0, 1, 1)",
           "pair_types: tuple[int, ...] = (0, 0, 0, 0, 1)",
           "test_tokens.py::test_texts_without_special_tokens"),
    Mutant("tokens.py", "tuple(types))", "(0, 0, 1, 1, 1))",
           "test_tokens.py::test_a_pair_has_one_row_with_two_token_types"),
    Mutant("tokens.py", "part[len(part) - length :]", "part[:length]",
           "test_tokens.py::test_a_folder_that_cuts_on_the_left_keeps_the_ends"),
    Mutant("tokens.py", "room - overlap)", "room)",
           "test_tokens.py::test_windows_hold_every_token_and_overlap"),
    Mutant("tokens.py", "len(heads) == 2 and all(", "len(heads) == 3 and all(",
           "test_tokens.py::test_of_two_long_texts_the_longer_keeps_the_odd_token[9]"),
    Mutant("tokens.py", "run[0][: LONGEST_WORD + 1]", "run[0][:LONGEST_WORD]",
           "test_tokens.py::test_long_texts_have_the_ids_of_the_whole"),
    Mutant("tokenizer_classes.py", 'lowercase=setting(path, settings, "do_lower_case", bool, True)',
           'lowercase=setting(path, settings, "do_lower_case", bool, False)',
           "test_tokens.py::test_without_tokenizer_config_a_text_is_lower_cased"),
    Mutant("vocabulary.py", "    limit = transformer.max_seq_length\n", "    limit = None\n",
           "test_tokens.py::test_the_maximum_length_follows_the_reference"),
    # weights
    Mutant("checkpoint.py", "    qkv_bias[:hidden] *= scale\n", "", GOLDEN + "[gelu]"),
    Mutant("checkpoint.py", "(hidden // config.num_attention_heads) ** -0.5", "hidden**-0.5",
           GOLDEN + "[gelu]"),
    Mutant("tensors.py", "for path in files:", "for path in files[:1]:", GOLDEN + "[sharded]"),
    Mutant("tensors.py", "astype(np.uint32) << 16", "astype(np.uint32) << 15",
           GOLDEN + "[bfloat16]"),
    Mutant("tensors.py", "name = name.replace(old, new)", "name = name.replace(old, old)",
           GOLDEN + "[old_layout]"),
    Mutant("tensors.py", "tensor.name.removeprefix(prefix)", "tensor.name", GOLDEN + "[plain]"),
    Mutant("tensors.py", "if not is_finite(tensor):", "if tensor is None:",
           "test_checkpoint.py::test_weights_that_are_no_numbers_are_named"),
    Mutant("tensors.py", "return tensor if tensor.flags.aligned else tensor.copy()",
           "return tensor",
           "test_checkpoint.py::test_tensors_that_are_not_aligned_change_no_vector"),
    # pickles
    Mutant("tensors.py", "convert_command(whole_model(folder))", "convert_command(folder)",
           CONVERT + "a_pickle_of_a_module_offers_the_whole_model[0_Transformer]"),
    Mutant("shell.py", "return shlex.join(texts)", 'return " ".join(texts)',
           CONVERT + "a_pickle_is_refused_with_the_command"),
    Mutant("shell.py", "if is_inside else name", "if not folder else name",
           CONVERT + "inside_the_folder_the_new_one_is_offered_beside_it"),
    Mutant("unpickling.py", "weights_only=True)", "weights_only=False)",
           CONVERT + "torch_is_asked_for_nothing_but_data"),
    Mutant("unpickling.py", "OLDEST_TORCH = (2, 10)", "OLDEST_TORCH = (2, 6)",
           CONVERT + "a_torch_in_which_pickles_could_run_code_is_refused"),
    Mutant("conversion_plan.py", "if not any(true.is_relative_to(root) for root in roots):",
           "if not roots:", CONVERT + "a_link_that_is_no_part_of_the_model_is_refused"),
    Mutant("conversion_plan.py", "if true in above:", "if true in above[1:]:",
           CONVERT + "a_link_that_is_no_part_of_the_model_is_refused"),
    Mutant("conversion_plan.py", "if name in WHOLE and not safe:", "if name in WHOLE:",
           CONVERT + "safetensors_beside_a_pickle_count"),
    Mutant("conversion_plan.py", "if path.suffix.lower() in SUFFIXES:", "if False:",
           CONVERT + "pickles_of_other_things_are_left_out_by_name"),
    Mutant("converting.py", "        check_target(target)  # somebody may have been quicker\n", "",
           CONVERT + "a_folder_that_came_meanwhile_is_not_replaced"),
    Mutant("converting.py", "if os.path.lexists(target):", "if os.path.exists(target):",
           CONVERT + "a_new_folder_that_exists_is_left_alone"),
    Mutant("converting.py", "return [true, true.parent.parent] if commit_of(true)",
           "return [true] if true",
           CONVERT + "the_cache_of_a_model_is_not_written_to"),
    Mutant("converting.py", "shutil.rmtree(partial, ignore_errors=True)", "pass",
           CONVERT + "a_failure_leaves_nothing"),
    Mutant("converting.py", '"total_size": size}', '"total_size": len(weight_map)}',
           CONVERT + "shards_become_shards_with_an_index"),
    Mutant("converting.py", "            if name in weight_map:\n", "            if not name:\n",
           CONVERT + "a_tensor_in_two_shards_is_refused"),
    Mutant("converting.py", ".chmod(partial.stat().st_mode & 0o666)", ".stat()",
           CONVERT + "others_may_read_the_weights_like_the_other_files"),
    Mutant("hub.py", "if files and missing not in files:", "if files:",
           HUB + "a_file_that_the_hub_has_and_did_not_give_is_unavailable"),
    Mutant("hub.py", "not any(beside(file, other) for other in safe)", "True",
           HUB + "a_conversion_fetches_pickles_where_safetensors_lack"),
    Mutant("hub.py", "convert_command(name, *repository.options)", "convert_command(name)",
           HUB + "a_model_with_a_pickle_only_names_the_command"),
    Mutant("hub.py", 'if (folder / "model.safetensors").exists():',
           'if (folder / "pytorch_model.bin").exists():',
           HUB + "safetensors_are_fetched_where_a_pickle_is_cached"),
    Mutant("json_files.py", 'or ".." in parts', "",
           "test_folder.py::test_a_module_path_that_leaves_the_folder_is_refused"),
    Mutant("saving.py", "place(staged.pop(path), path)",
           "shutil.copyfile(staged[path], path)",
           "test_saving.py::test_a_model_that_is_in_use_can_be_saved_over"),
    Mutant("saving.py", "    check_target(target, loaded, modules)\n", "",
           "test_saving.py::test_a_folder_with_another_model_s_files_is_refused_and_left_alone"),
    Mutant("saving.py", "        if stamp(file) != before:\n", "        if False:\n",
           SAVED + "a_model_whose_weights_have_changed_since_is_not_saved"),
    Mutant("saving.py", "        (bert / other).unlink(missing_ok=True)\n", "        pass\n",
           SAVED + "settings_of_an_earlier_model_do_not_stay"),
    Mutant("saving.py", "for file in files if folder.has_modules else []:", "for file in files:",
           SAVED + "a_plain_bert_becomes_a_sentence_transformers_folder"),
    Mutant("saving.py", 'if k != "model_max_length"}', "}",
           SAVED + "only_the_key_that_a_folder_has_loses_its_length"),
    Mutant("folder.py", "path = path.absolute()", "path = path",
           SAVED + "a_relative_path_holds_when_the_directory_changes"),
    Mutant("modules.py", "old if old in settings else new", "old if settings.get(old) else new",
           "test_folder.py::test_where_a_key_has_both_its_names_the_old_one_counts"),
    Mutant("modules.py", 'for kind in ("text", "common"):', 'for kind in ("common", "text"):',
           "test_folder.py::test_common_beats_text"),
    Mutant("model.py", "        self.place_head()\n", "        pass\n",
           "test_cupy.py::test_modules_and_every_output_equal_the_cpus[modules-sentence_embedding]"),
    Mutant("transformer.py", "with_prompt(prompt, texts[window])", "texts[window]",
           ENCODER + "prompts_go_before_the_text"),
    Mutant("devices.py", "-= 1\n            if self._calls == 0:", "-= 1\n            if True:",
           DEVICES + "a_product_has_one_thread_while_any_call_is_under_way"),
    Mutant("devices.py", "before = self._before if self._calls else None", "before = None",
           DEVICES + "a_fork_in_the_middle_of_a_call_leaves_the_child_able_to_work"),
    Mutant("devices.py", "self._free.release(taken)", "pass",
           SHARES + "only_free_cores_are_taken_and_given_back"),
    Mutant("devices.py", "while taken < most and self._free.acquire(blocking=False):",
           "while taken < most:", SHARES + "only_free_cores_are_taken_and_given_back"),
    Mutant("shares.py", "table, turn = self._tables[turn], 1 - turn", "table = self._tables[turn]",
           SHARES + "a_quick_thread_overwrites_no_share_that_another_still_reads"),
    Mutant("shares.py", "rows[...] = table[0]", "rows[...] = table[number]",
           SHARES + "threads_that_meet_add_all_shares_to_the_same_bits"),
    Mutant("shares.py", "qkv_weight=share(layer.qkv_weight, 2)",
           "qkv_weight=share(layer.qkv_weight, 1)",
           SHARES + "shares_make_what_the_whole_makes"),
    Mutant("shares.py", "self._worth(tokens, 1 + further, tiles)",
           "self._worth(tokens, threads, tiles)",
           SHARES + "only_free_cores_are_taken_and_given_back"),
    Mutant("shares.py", "copy[part, tile] = seen[part, tile]",
           "copy[part, tile] = seen[part, tile - 1]",
           SHARES + "a_product_of_pieces_is_the_product"),
    Mutant("transformer.py", "alone=len(work) == 1 and not many", "alone=len(work) == 1",
           SHARES + "the_first_short_text_lays_out_tiles_and_nothing_else_does"),
    Mutant("transformer.py", "short = alone or self.reproducible", "short = alone",
           SHARES + "reproducible_texts_have_one_way_alone_and_in_company"),
    Mutant("transformer.py", "if alone and not self.reproducible else 1", "if alone else 1",
           SHARES + "reproducible_texts_have_one_way_alone_and_in_company"),
    Mutant("devices.py", "library.clear_controlling_thread()", "pass",
           DEVICES + "any_thread_may_set_the_limit_and_another_restore_it"),
    Mutant("devices.py", "os.register_at_fork(after_in_child=CORES.after_fork)", "pass",
           DEVICES + "a_fork_in_the_middle_of_a_call_leaves_the_child_able_to_work"),
    Mutant("devices.py", "min(affinity(), quota())", "affinity()",
           DEVICES + "there_are_no_more_threads_than_the_quota_allows"),
    Mutant("transformer.py", "some = many or len(ids) < len(texts)", "some = many",
           SHARES + "the_first_short_text_lays_out_tiles_and_nothing_else_does"),
    Mutant("vectors.py", "many=self.many or len(batch) < len(texts),", "many=self.many,",
           SHARES + "the_first_short_text_lays_out_tiles_and_nothing_else_does"),
    Mutant("vectors.py", "many=self.many or has_company,", "many=self.many,",
           SHARES + "the_first_short_text_lays_out_tiles_and_nothing_else_does"),
    Mutant("padded.py", "alone=len(work) == 1", "alone=True",
           SHARES + "of_several_packs_the_padded_view_lays_out_no_tiles"),
    Mutant("model.py", '{**options, "many": True}', "{**options}",
           PROCESSES + "a_chunk_of_a_pool_is_no_lone_query[vectors]"),
    Mutant("writing.py", "ranges = manifest.ranges or self.first_ranges(vectors)",
           "ranges = self.first_ranges(vectors)",
           "test_corpus.py::test_codes_are_those_of_the_vectors[int8]"),
    Mutant("devices.py", "threading.BoundedSemaphore(available_threads())",
           "threading.BoundedSemaphore(available_threads() + 1)",
           DEVICES + "no_more_packs_are_computed_at_a_time_than_there_are_cores"),
    Mutant("stack.py", "        finally:\n            ended.set()\n",
           "        finally:\n            pass\n",
           "test_ranking.py::test_the_first_error_ends_the_work_of_all_threads"),
    Mutant("tokens.py", "if len(text) <= characters:", "if len(text) <= characters or True:",
           "test_tokens.py::test_a_text_of_10_mb_takes_no_longer_than_its_beginning"),
    Mutant("commands/embed.py", "chunk = list(islice(documents, CHUNK_TEXTS))",
           "chunk = list(islice(documents, CHUNK_TEXTS))[: CHUNK_TEXTS - 1]",
           "test_cli.py::test_reading_in_chunks_loses_no_text"),
    Mutant("integrations/arrow.py", 'arguments.setdefault("short_inputs", bool(', 'bool((',
           "test_arrow.py::test_a_table_is_a_part_of_a_corpus_and_lays_out_no_tiles[arguments0-False]"),
    Mutant("checkpoint.py", "        tensors.let_go(f\"{attention}.{part}.weight\")  # copied\n",
           "        pass\n", LET_GO),
    Mutant("checkpoint.py", '    tensors.let_go("embeddings.word_embeddings.weight")', "    pass",
           LET_GO),
    Mutant("tensors.py", "start = -(-self.offset // mmap.PAGESIZE)",
           "start = (self.offset // mmap.PAGESIZE)", LET_GO),
    Mutant("processes.py", "threading.Thread(target=end_with_parent, daemon=True).start()",
           "pass",
           PROCESSES + "no_process_outlives_its_work[9]"),
    Mutant("processes.py", "        self._stopping.set()\n", "",
           PROCESSES + "no_process_outlives_its_work[2]"),
    Mutant("processes.py", '    HELD["barrier"].wait()\n', "",
           PROCESSES + "a_device_that_is_not_there_is_named_at_the_start"),
    Mutant("processes.py", "if pool.recipe.computes != recipe.computes:", "if False:",
           PROCESSES + "a_pool_serves_the_model_that_started_it_as_it_was"),
    # the GPU's kernels, and what goes to and fro
    Mutant("kernels_cupy.cu", "(bias ? float(bias[column]) : 0.0f);                   ", "0.0f; ",
           CUPY + "every_activation_adds_a_bias_first[gelu]"),
    Mutant("kernels_cupy.cu", "0.044715f * y * y", "0.044715f * y",
           CUPY + "activations_agree[gelu_tanh_-arguments1-shape3]"),
    Mutant("kernels_cupy.cu", "y < 0.0f ? 0.0f : y", "y < 0.0f ? 0.0f : 2 * y",
           CUPY + "vectors_equal_the_cpus[relu-{}]"),
    Mutant("kernels_cupy.cu", "sqrtf(sum_of_warp(squares) / columns + epsilon)",
           "(sqrtf(sum_of_warp(squares) / columns) + epsilon)",
           CUPY + "layer_norm_agrees[shape3-0.01]"),
    Mutant("kernels_cupy.cu", "           (before ? float(before[column]) : 0.0f);", "0.0f;",
           CUPY + "bias_residual_and_norm_in_one_agree[9]"),
    Mutant("kernels_cupy.cu", "before += (long long)row * columns;", "before += 0;",
           CUPY + "bias_residual_and_norm_in_one_agree[9]"),
    Mutant("kernels_cupy.cu", "int row = blockIdx.x * blockDim.y + threadIdx.y;\n"
           "    if (row >= rows) return;\n    x += (long long)row * columns;",
           "int row = blockIdx.x + threadIdx.y;\n"
           "    if (row >= rows) return;\n    x += (long long)row * columns;",
           CUPY + "softmax_agrees[shape1]"),
    Mutant("kernels_cupy.cu", "lengths ? lengths[row / rows_of_a_text] : columns", "columns",
           CUPY + "columns_beyond_a_text_have_no_weight"),
    Mutant("kernels_cupy.cu", "column < length ? expf(", "column < columns ? expf(",
           CUPY + "columns_beyond_a_text_have_no_weight"),
    Mutant("kernels_cupy.cu", "largest = largest_of_warp(largest);", "",
           CUPY + "softmax_agrees[shape1]"),
    Mutant("kernels_cupy.cu", "is_token ? x[column] : real(0.0f)", "x[column]",
           CUPY + "a_text_that_overflowed_spoils_no_other_in_its_run"),
    Mutant("kernels_cupy.cu", "float(y[(head * longest + place) * width", "float(y[head * width",
           CUPY + "texts_of_nearly_one_length_attend_as_each_alone"),
    Mutant("kernels_cupy.py", "b.shape[3], b.shape[2] * b.shape[3]", "columns, columns * inner",
           CUPY + "cublas_is_asked_for_what_its_documentation_says"),
    Mutant("kernels_cupy.py", "starts[run.texts] - run.rows.start", "starts[run.texts]",
           CUPY + "texts_of_nearly_one_length_attend_as_each_alone"),
    Mutant("kernels_cupy.py", 'options=("-DHALF",) if half else ()', "options=()",
           CUPY + "float16_is_near_and_gives_float32[gelu-sentence_embedding]"),
    Mutant("bert.py", "return kernels.floats(hidden)", "return hidden",
           CUPY + "float16_is_near_and_gives_float32[gelu-token_embeddings]"),
    Mutant("devices.py", "            copied.synchronize()\n", "",
           CUPY + "vectors_equal_the_cpus[gelu-{}]"),
    Mutant("devices.py", "array.get(out=host, blocking=False)", "host[...] = cupy.asnumpy(array)",
           CUPY + "the_next_pack_is_begun_before_the_one_before_it_is_waited_for"),
    Mutant("transformer.py", "                work.append(pack)\n", "                pass\n",
           CUPY + "where_memory_runs_out_packs_are_halved_once_for_good"),
    Mutant("packing.py", "longest - max(8, longest // 8) < length", "longest - 8 < length",
           "test_packing.py::test_texts_of_nearly_one_length_stand_in_one_run"),
    Mutant("model.py", '"device": "cpu", "dtype": None,', '"device": "cpu",',
           CUPY + "a_process_s_copy_computes_in_the_model_s_dtype"),
    # speed
    Mutant("kernels.py", "if not bound < SAFE_LOGIT:", "if False:",
           BERT + "logits_that_would_overflow_are_shifted"),
    Mutant("kernels.py", "if not bound < SAFE_LOGIT:", "if bound >= SAFE_LOGIT:",
           BERT + "logits_that_would_overflow_are_shifted"),
    Mutant("kernels.py", "(squares[0] * squares[1]).max()", "(squares[0] * squares[1]).min()",
           BERT + "no_logit_is_above_the_bound_and_one_may_reach_it"),
    Mutant("kernels.py", "            rows += part[place]\n", "            pass\n",
           "test_kernels.py::test_linear_agrees_at_every_number_of_chains"),
    Mutant("bert.py", "before[place]", "before[: len(rows)]",
           BERT + "blocks_of_rows_change_no_state"),
    Mutant("bert.py", "own, rows = asked.rows, run.rows", "own, rows = run.rows, run.rows",
           BERT + "the_last_layer_for_some_tokens_is_the_last_layer_s"),
    Mutant("pipeline.py", "if len(modes) == 1 and not skips", "if len(modes) == 1",
           POOLED),
    Mutant("packing.py", "count + count % 2", "count",
           "test_packing.py::test_several_packs_are_even_in_number"),
    Mutant("transformer.py", "most = 1 if self.reproducible else batch_size",
           "most = batch_size", "test_reproducible.py::test_every_text_is_a_pack_of_its_own"),
    Mutant("model.py", "transformer.reproducible, transformer.short_inputs",
           "transformer.short_inputs", "test_reproducible.py::test_copies_and_pools_keep_it"),
    Mutant("processes.py", "results.append(future.result())", "results.insert(0, future.result())",
           "test_processes.py::test_vectors_are_those_of_one_process_in_order[7]"),
    # what is measured
    Mutant("measures.py", "ranks[near] + 1", "ranks[near] + 2",
           "test_measures.py::test_each_measure_is_its_definition"),
    Mutant("measures.py", "near = ranks <= k", "near = ranks < k",
           "test_measures.py::test_ndcg_looks_at_ten_documents_and_so_does_its_ideal"),
    Mutant("measures.py", "min(k, possible)", "possible",
           "test_measures.py::test_of_more_than_a_hundred_relevant_documents_"
           "a_hundred_are_all_that_map_at_100_expects"),
    Mutant("measures.py", "np.abs(differences.sum(axis=0)) - rounding",
           "np.abs(differences.sum(axis=0))",
           "test_measures.py::test_p_counts_sums_that_are_equal_but_for_rounding"),
    Mutant("measures.py", "min(size, total - start)", "size",
           "test_measures.py::test_p_is_that_of_all_choices_of_signs[1]"),
    Mutant("collection.py", "(-scores[id], id)", "(-scores[id],)",
           "test_collection.py::test_a_run_is_ordered_by_its_scores_and_then_by_ids"),
    Mutant("evaluation.py", "ids = sorted(collection.documents)",
           "ids = list(collection.documents)",
           "test_evaluation.py::test_all_documents_are_ranked_and_ties_are_in_the_order_"
           "of_their_ids[dot]"),
    Mutant("evaluation.py", "for id in judged}", "for id in values}",
           "test_evaluation.py::test_only_queries_with_a_relevant_document_are_measured_"
           "and_one_without_ranking_is_0"),
    # what is read, printed and counted
    Mutant("reading.py", 'row = line.split("\\t") if line else []',
           'row = next(__import__("csv").reader([line], delimiter="\\t"), [])',
           "test_reading.py::test_a_tsv_has_no_quotes_and_loses_no_row"),
    Mutant("reading.py", "if not row and len(self.header) > 1:", "if not row:",
           "test_reading.py::test_a_blank_line_of_one_column_is_an_empty_text[a.csv]"),
    Mutant("reading.py", "if row == self.header and len(row) > 1:", "if False:",
           "test_reading.py::test_what_cannot_be_read_is_told_with_its_line"),
    Mutant("reading.py", "json.loads(line, object_pairs_hook=record_of)", "json.loads(line)",
           "test_reading.py::test_what_cannot_be_read_is_told_with_its_line"),
    Mutant("reading.py", 'if "\\0" in text:', "if False:",
           "test_reading.py::test_what_cannot_be_read_is_told_with_its_line"),
    Mutant("reading.py", "is_whole and form_of_id(parts[at]) == form", "False",
           "test_reading.py::test_a_quote_that_may_have_swallowed_rows_is_told"),
    Mutant("reading.py", 'if "\\0" in content:', "if False:",
           "test_reading.py::test_a_nul_in_parquet_is_refused_with_its_row"),
    Mutant("reading.py", 'path.lower().endswith(".gz")', 'path.endswith(".gz")',
           "test_reading.py::test_a_path_and_a_suffix_in_capitals_are_read_as_well"),
    Mutant("reading.py", "self.make.names(row, origin)", "pass",
           "test_reading.py::test_what_cannot_be_read_is_told_with_its_line"),
    Mutant("commands/search.py", 'if options.ids == "-" and', "if False and",
           "test_search.py::test_questions_and_ids_in_one_stream_are_refused"),
    Mutant("commands/output.py", "return replacing(Path(os.path.realpath(name)))",
           "return open(os.path.realpath(name), 'wb')",
           "test_cli.py::test_a_full_disk_is_code_74_and_leaves_the_old_output"),
    Mutant("tensors.py", 'path.open("rb").close()', "pass",
           "test_checkpoint.py::test_weights_that_cannot_be_opened_say_why"),
    Mutant("search.py", "queries = list(queries)", "pass",
           "test_search.py::test_queries_may_be_whatever_can_be_iterated"),
    Mutant("corpus.py", 'id.encode(errors="surrogatepass")', "id.encode()",
           "test_search.py::test_ids_that_no_document_has_are_named"),
    Mutant("cli.py", 'isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase)', "False",
           "test_cli.py::test_output_that_is_cut_is_no_success_without_buffers"),
    Mutant("cli.py", "return stream is None or stream.closed", "return stream is None",
           "test_cli.py::test_streams_that_a_program_closed_are_not_there"),
    Mutant("reading.py", "if sys.stdin is None or sys.stdin.closed:", "if False:",
           "test_reading.py::test_standard_input_that_is_not_there_is_no_input[True]"),
    Mutant("collection.py", "        queries.add(query)", "        pass",
           "test_search.py::test_a_question_id_that_comes_twice_is_in_no_run"),
    Mutant("collection.py", " or has_controls(id)", "",
           "test_collection.py::test_a_run_that_nobody_could_read_is_not_written"),
    Mutant("formats.py", "safe_json(json.dumps(text, ensure_ascii=False))",
           "json.dumps(text, ensure_ascii=False)",
           "test_formats.py::test_jsonl_holds_nothing_that_a_terminal_obeys"),
    Mutant("formats.py", '"" if id is None else', '"" if True else',
           "test_cli.py::test_embed_reads_records_as_a_corpus_is_built_of_them[jsonl.gz]"),
    Mutant("commands/output.py", "print(visible(line))", "print(line)",
           "test_search.py::test_the_table_sends_no_control_character"),
    Mutant("commands/output.py", "safe_json(json.dumps(content, ensure_ascii=False))",
           "json.dumps(content, ensure_ascii=False)",
           "test_search.py::test_the_table_sends_no_control_character"),
    Mutant("cli.py", "return visible_lines(super().format(record))",
           "return super().format(record)",
           "test_cli.py::test_log_usage_and_fault_lines_send_no_control_character"),
    Mutant("cli.py", "print(visible_lines(message), file=sys.stderr)",
           "print(message, file=sys.stderr)",
           "test_cli.py::test_names_in_a_model_s_files_are_shown_and_not_sent"),
    Mutant("cli.py", "os.open(os.devnull, os.O_RDONLY)) <= 2",
           "os.open(os.devnull, os.O_RDONLY)) < 0",
           "test_cli.py::test_no_file_gets_the_number_of_a_closed_stream"),
    Mutant("cli.py", "sys.stdout = stack.enter_context(unwritable())", "sys.stdout = sys.stderr",
           "test_cli.py::test_a_closed_stdout_is_an_error_of_writing"),
    Mutant("cli.py", "DeviceError, MissingLibraryError)", "DeviceError)",
           "test_cli.py::test_an_extra_that_is_missing_is_code_69"),
    Mutant("progress.py", "level in (logging.INFO, logging.DEBUG) and is_watched()",
           "level in (logging.INFO, logging.DEBUG)",
           "test_encoder.py::test_info_shows_a_bar_on_a_terminal_and_in_no_log"),
    Mutant("progress.py", "if not shown or not has_stderr():", "if not shown:",
           "test_encoder.py::test_a_bar_without_a_stderr_is_left_out[False]"),
    Mutant("commands/options.py", "absent = argparse.SUPPRESS", "absent = False",
           "test_cli.py::test_quiet_may_stand_before_and_behind_a_command"),
    Mutant("commands/options.py", "default=named_model() or DEFAULT_MODEL", "default=DEFAULT_MODEL",
           "test_cli.py::test_the_environment_names_the_model_where_none_is_given"),
    Mutant("commands/index.py", '"documents": manifest.documents - manifest.deleted',
           '"documents": manifest.documents',
           "test_corpus.py::test_what_can_be_found_is_counted_and_not_what_was_deleted"),
    Mutant("commands/index.py", "counted(manifest.documents - manifest.deleted)",
           "counted(manifest.documents)",
           "test_corpus.py::test_what_can_be_found_is_counted_and_not_what_was_deleted"),
    Mutant("search.py", "wanted = list(dict.fromkeys(ids))", "wanted = list(ids)",
           "test_search.py::test_an_id_given_twice_counts_once"),
    # what is drawn
    Mutant("pictures/svg.py", 'kind = "against" if value < 0', 'kind = "for" if value < 0',
           PICTURES + "negative_pairs_have_a_colour_of_their_own_and_strength_follows_the_value"),
    Mutant("pictures/svg.py", "return html.escape(", "return str(",
           PICTURES + "no_text_escapes_from_a_heat_map"),
    Mutant("pictures/heat_map.py", "values[rest].sum(axis=0)", "values[rest].mean(axis=0)",
           PICTURES + "of_a_long_text_the_rest_is_one_row_and_nothing_is_lost"),
    Mutant("pictures/attention.py", "rows[..., most:].sum", "rows[..., most + 1 :].sum",
           PICTURES + "tokens_beyond_the_first_share_a_column_and_rows_still_sum_to_one"),
    Mutant("pictures/xray.py", "zip(between, states[1:]", "zip(between, states[:-1]",
           PICTURES + "an_x_ray_has_the_numbers_of_the_trace"),
    Mutant("pictures/xray.py", "nearest[n * shown :", "nearest[n :",
           PICTURES + "an_x_ray_has_the_numbers_of_the_trace"),
    Mutant("pictures/xray.py", "np.sqrt(np.clip(weights, 0, 1))", "np.clip(weights, 0, 1)",
           PICTURES + "coded_numbers_come_back_within_what_is_promised"),
    Mutant("pictures/explanation_page.py", "values[~words].sum()", "values[words].sum()",
           PICTURES + "the_parts_that_the_page_names_sum_to_the_score"),
    # the map of a corpus
    Mutant("pictures/projection.py", "            origin = block[0].copy()\n",
           "            pass\n", SINGULAR + "[excluded0-1000.0]"),
    Mutant("pictures/projection.py", " - np.outer(offset, offset)", "",
           SINGULAR + "[excluded0-0.0]"),
    Mutant("pictures/projection.py", "return origin + offset", "return offset",
           SINGULAR + "[excluded0-0.0]"),
    Mutant("pictures/projection.py", "(numbers[0], numbers[-1] + 1)", "(numbers[0], numbers[-1])",
           SINGULAR + "[excluded2-0.0]"),
    Mutant("pictures/projection.py", "count += len(block)", "count += len(block) + 1",
           SINGULAR + "[excluded0-0.0]"),
    Mutant("pictures/projection.py", "vectors[:, ::-1].T[:found]", "vectors[:, ::-1][:found]",
           SINGULAR + "[excluded0-0.0]"),
    Mutant("pictures/projection.py", "vectors[:, ::-1].T[:found]", "vectors.T[:found]",
           SINGULAR + "[excluded0-0.0]"),
    Mutant("pictures/projection.py", "< 0, -1, 1)", "< 0, 1, 1)",
           "test_projection.py::test_the_largest_number_of_a_component_is_positive"),
    Mutant("pictures/projection.py", "np.abs(components).argmax(axis=1)",
           "components.argmax(axis=1)",
           "test_projection.py::test_the_largest_number_of_a_component_is_positive"),
    Mutant("pictures/projection.py", "NO_VARIANCE = 1e-12", "NO_VARIANCE = 1e-18",
           "test_projection.py::test_vectors_are_equal_within_the_rounding_of_float32"),
    Mutant("pictures/projection.py", "stack.vectors(left).astype(np.float64)",
           "stack.vectors(left).astype(np.float32)", SINGULAR + "[excluded0-0.0]"),
    Mutant("pictures/projection.py", "stack.vectors(left)", "left",
           "test_projection.py::test_what_is_stored_is_decoded"),
    Mutant("pictures/corpus_map.py", "        return of_length_1(stored.vectors(codes))",
           "        return stored.vectors(codes)",
           "test_map.py::test_documents_lie_where_the_principal_components_put_them[float32]"),
    Mutant("pictures/corpus_map.py", "np.setdiff1d(np.arange(len(corpus)), corpus.deleted, ",
           "np.setdiff1d(np.arange(len(corpus)), [], ",
           "test_map.py::test_deleted_documents_are_in_no_sample[float32]"),
    Mutant("pictures/corpus_map.py", "np.union1d(sample, question.numbers)", "sample",
           "test_map.py::test_what_is_nearest_to_a_question_is_in_the_sample_and_searched_among_all"),
    Mutant("pictures/map_page.py", "name=html.escape(shown.name)", "name=shown.name",
           "test_map.py::test_texts_ids_names_and_questions_are_text_and_never_markup"),
    Mutant("pictures/map_page.py", '"note">{html.escape(note)}</p>', '"note">{note}</p>',
           "test_map.py::test_texts_ids_names_and_questions_are_text_and_never_markup"),
]  # fmt: skip


def main() -> None:
    """Plant the chosen faults and say of each whether its test noticed."""
    options = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="example: python tools/mutants.py layer_norm"
    )
    options.add_argument("word", nargs="?", default="", help="only faults that mention this word")
    word = options.parse_args().word
    chosen = [mutant for mutant in MUTANTS if word in " ".join(mutant)]
    if not chosen:
        sys.exit(f"No fault of the table mentions {word!r}.")
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made).resolve()
        tests = sorted({mutant.test for mutant in chosen})
        untouched = copy(scratch / "untouched")
        if run(untouched, *tests) != 0:
            sys.exit("The tests of the table are not green on the package as it is.")
        with ThreadPoolExecutor(2) as workers:
            killed = list(
                workers.map(lambda number: judge(chosen[number], scratch / str(number)),
                            range(len(chosen)))
            )  # fmt: skip
    print(f"{sum(killed)} of {len(killed)} faults turned their test red")
    sys.exit(0 if all(killed) else 1)


def judge(mutant: Mutant, folder: Path) -> bool:
    """Whether the test fails, and does nothing worse than failing, with the fault."""
    copy(folder)
    path = folder / "minibert" / mutant.file
    code = path.read_text(encoding="utf-8")
    if code.count(mutant.old) != 1:
        sys.exit(f"{mutant.file} holds {mutant.old!r} {code.count(mutant.old)} times, not once.")
    path.write_text(code.replace(mutant.old, mutant.new), encoding="utf-8")
    status = run(folder, mutant.test)
    if status not in (0, 1):
        sys.exit(f"pytest could not run {mutant.test} with {mutant.new!r} (exit code {status}).")
    verdict = "killed  " if status else "SURVIVED"
    change = f"{mutant.old.strip()} -> {mutant.new.strip() or 'nothing'}"
    print(f"{verdict} {mutant.file}: {change}  by {mutant.test}", flush=True)
    shutil.rmtree(folder)
    return status == 1


def copy(folder: Path) -> Path:
    """The package and its tests, in a place where they can be changed."""
    for name in ("minibert", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / ".models").symlink_to(ROOT / ".models")
    return folder


def run(folder: Path, *tests: str) -> int:
    """pytest's exit code for some tests of a copy, which must be what is imported."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    check = "import minibert, sys; sys.exit(not minibert.__file__.startswith(sys.argv[1]))"
    python = [sys.executable, "-c", check, str(folder)]
    if subprocess.run(python, cwd=folder, env=environment, check=False).returncode:
        sys.exit("An installed minibert stands before the copy; uninstall it or use .venv.")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [*command, *(f"tests/{test}" for test in tests)],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return result.returncode


if __name__ == "__main__":
    main()
