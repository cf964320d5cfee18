//! Programs that must compile and run: a way of writing a model a file, named after it.

mod across_modules_and_in_functions;
mod activations;
mod assignment_and_shadowing;
mod bool_field;
mod both_spellings_of_a_call;
mod boundaries_by_hand;
mod chunk_split_and_cat;
mod conditional_compilation;
mod constructors_beside_forward;
mod generic_models;
mod keys_that_meet;
mod operations_as_functions_and_methods;
mod operators_and_numbers;
mod option_in_every_form;
mod own_model_named_like_a_layer;
mod references_and_clones;
mod renamed_and_raw_fields;
mod renamed_crate;
mod residual_block;
mod same_layer_twice;
mod sequences_and_norms;
mod sequential_of_sequentials;
mod several_inputs_and_outputs;
mod sizes_in_reshape;
mod unused_field_on_purpose;
mod vec_of_layers;
