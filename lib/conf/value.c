#include "conf/value.h"

#include <inttypes.h>

#include "conf/units.h"

static const struct config_key *key_of(const struct values *v, const char *name);
static struct span first_item(const struct values *v, const char *name);
static uint64_t scalar(const struct values *v, const char *name);
static bool parse_scalar(const struct config_key *key, struct span text, uint64_t *ret);
static void report_scalar(const struct values *v, const struct config_key *key, struct span text);
static bool parse_yes_no(struct span text, bool *ret);
static bool find_choice(const char *choices, struct span text, unsigned *ret);
static bool has_good_length(const struct values *v, const struct config_key *key, struct span text);

struct config_place value_place(const struct values *v, const char *name)
{
	const struct config_value *value = config_get(v->section, name);
	return value ? value->place : v->section->place;
}

bool value_is_set(const struct values *v, const char *name)
{
	return config_get(v->section, name) != NULL;
}

bool value_is_required(const struct values *v, const char *name)
{
	if (value_is_set(v, name))
		return true;
	const char *section = config_section_name(v->section->kind);
	struct span title = v->section->title;
	report_error(v->report, v->section->place, "%s%s%.*s%s needs \"%s = …\"",
	    *section ? section : "the configuration", title.n ? " \"" : "", SPAN_ARG(title),
	    title.n ? "\"" : "", name);
	return false;
}

struct span value_text(const struct values *v, const char *name)
{
	struct span text = first_item(v, name);
	if (span_is_set(text) && has_good_length(v, key_of(v, name), text))
		return text;
	return span_cstr(key_of(v, name)->fallback);
}

struct span value_file(const struct values *v, const char *name)
{
	struct span text = value_text(v, name);
	if (text.n == 0 || text.p[0] == '/')
		return text;
	return arena_format(v->arena, "%s/%.*s", v->etc, SPAN_ARG(text));
}

uint32_t value_number(const struct values *v, const char *name)
{
	return (uint32_t)scalar(v, name);
}

uint64_t value_size(const struct values *v, const char *name)
{
	return scalar(v, name);
}

uint32_t value_time(const struct values *v, const char *name)
{
	return (uint32_t)scalar(v, name);
}

bool value_yes_no(const struct values *v, const char *name)
{
	bool answer;
	struct span text = first_item(v, name);
	if (span_is_set(text)) {
		if (parse_yes_no(text, &answer))
			return answer;
		report_error(v->report, value_place(v, name), "%s must be yes or no, not \"%.*s\"",
		    name, SPAN_ARG(text));
	}
	return parse_yes_no(span_cstr(key_of(v, name)->fallback), &answer) && answer;
}

unsigned value_choice(const struct values *v, const char *name, unsigned otherwise)
{
	const struct config_key *key = key_of(v, name);
	unsigned index = otherwise;
	struct span text = first_item(v, name);
	if (span_is_set(text)) {
		if (find_choice(key->choices, text, &index))
			return index;
		report_error(v->report, value_place(v, name), "%s must be one of %s, not \"%.*s\"",
		    name, key->choices, SPAN_ARG(text));
	}
	if (key->fallback)
		(void)find_choice(
		    key->choices, span_cstr(key->fallback), &index); /* of the table */
	return index;
}

size_t value_list(const struct values *v, const char *name, const struct span **ret)
{
	const struct config_key *key = key_of(v, name);
	const struct config_value *value = config_get(v->section, name);
	*ret = NULL;
	if (value) {
		for (size_t i = 0; i < value->count; i++)
			(void)has_good_length(v, key, value->items[i]); /* reported there */
		*ret = value->items;
		return value->count;
	}
	if (!key->fallback)
		return 0;
	struct span rest = span_cstr(key->fallback), word;
	struct span *items = ARENA_ARRAY(v->arena, struct span, rest.n);
	size_t count = 0;
	while (span_next_word(&rest, ", ", &word))
		items[count++] = word;
	*ret = items;
	return count;
}

size_t value_times(const struct values *v, const char *name, const uint32_t **ret)
{
	const struct config_key *key = key_of(v, name);
	const struct span *items;
	size_t count = value_list(v, name, &items);
	uint32_t *times = ARENA_ARRAY(v->arena, uint32_t, count);
	for (size_t i = 0; i < count; i++) {
		uint64_t seconds = 0;
		if (!parse_scalar(key, items[i], &seconds))
			report_scalar(v, key, items[i]);
		times[i] = (uint32_t)seconds;
	}
	*ret = times;
	return count;
}

static const struct config_key *key_of(const struct values *v, const char *name)
{
	const struct config_key *key = config_key_find(v->section->kind, span_cstr(name));
	if (!key)
		abort(); /* not in the table: our own mistake */
	return key;
}

static struct span first_item(const struct values *v, const char *name)
{
	const struct config_value *value = config_get(v->section, name);
	return value && value->count > 0 ? value->items[0] : SPAN_NONE;
}

static uint64_t scalar(const struct values *v, const char *name)
{
	const struct config_key *key = key_of(v, name);
	uint64_t number = 0;
	struct span text = first_item(v, name);
	if (span_is_set(text)) {
		if (parse_scalar(key, text, &number))
			return number;
		report_scalar(v, key, text);
	}
	if (key->fallback && !parse_scalar(key, span_cstr(key->fallback), &number))
		abort(); /* the table contradicts itself */
	return number;
}

static bool parse_scalar(const struct config_key *key, struct span text, uint64_t *ret)
{
	uint64_t number;
	int rc;
	switch (key->type) {
	case CONFIG_TIME:
	case CONFIG_TIMES: rc = units_seconds(text, &number); break;
	case CONFIG_SIZE: rc = units_bytes(text, &number); break;
	default: rc = span_to_u64(text, UINT64_MAX, &number); break;
	}
	if (rc < 0 || number < key->min || number > key->max)
		return false;
	*ret = number;
	return true;
}

static void report_scalar(const struct values *v, const struct config_key *key, struct span text)
{
	const char *form = "a whole number";
	const char *unit = "";
	if (key->type == CONFIG_TIME || key->type == CONFIG_TIMES) {
		form = "a time such as \"90s\", \"7.5m\", \"4h\" or \"5d\"";
		unit = " seconds";
	} else if (key->type == CONFIG_SIZE) {
		form = "a size such as \"300k\", \"50M\" or \"1.5G\"";
		unit = " bytes";
	}
	report_error(v->report, value_place(v, key->name),
	    "%s must be %s, from %" PRIu64 " to %" PRIu64 "%s, not \"%.*s\"", key->name, form,
	    key->min, key->max, unit, SPAN_ARG(text));
}

static bool parse_yes_no(struct span text, bool *ret)
{
	if (span_equal_nocase(text, SPAN("yes")) || span_equal_nocase(text, SPAN("true")))
		*ret = true;
	else if (span_equal_nocase(text, SPAN("no")) || span_equal_nocase(text, SPAN("false")))
		*ret = false;
	else
		return false;
	return true;
}

static bool find_choice(const char *choices, struct span text, unsigned *ret)
{
	struct span rest = span_cstr(choices), word;
	for (unsigned i = 0; span_next_word(&rest, "|", &word); i++) {
		if (span_equal(word, text)) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static bool has_good_length(const struct values *v, const struct config_key *key, struct span text)
{
	if (config_type_is_list(key->type) && key->type != CONFIG_LIST)
		return true; /* its minimum and maximum are seconds */
	if (text.n >= key->min && text.n <= key->max)
		return true;
	report_error(v->report, value_place(v, key->name),
	    "%s must have %" PRIu64 " to %" PRIu64 " bytes", key->name, key->min, key->max);
	return false;
}
