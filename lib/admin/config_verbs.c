#include "admin/admin.h"

#include <inttypes.h>

static void print_key(const struct config_key *k);
static void print_key_json(const struct config_key *k);

int verb_config_check(struct admin *admin)
{
	struct config_draft draft;
	int status = check_config(admin, &draft);
	if (status == STATUS_OK)
		warn_of_iterations(admin, &draft, draft.global.scram_iterations);
	return status;
}

int check_config(struct admin *admin, struct config_draft *ret)
{
	struct config_report report = {.arena = &admin->arena};
	int status = operands_check(admin, 0, 0);
	if (status != STATUS_OK)
		return status;
	config_check(&admin->paths, NULL, &admin->arena, &report, ret);
	print_report(&report);
	return report.error_count > 0 ? STATUS_PROBLEM : STATUS_OK;
}

int verb_config_apply(struct admin *admin)
{
	int status = operands_check(admin, 0, 0);
	if (status != STATUS_OK)
		return status;
	int rc = apply_config(admin);
	if (rc == -EINVAL)
		return problem(
		    STATUS_PROBLEM, "nothing was changed; correct the above and apply again");
	return status_of(rc);
}

int verb_config_keys(struct admin *admin)
{
	int status = operands_check(admin, 0, 0);
	if (status != STATUS_OK)
		return status;
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *k = &config_keys[i];
		bool begins = i == 0 || config_keys[i - 1].section != k->section;
		if (admin->json) {
			printf("%s", i > 0 ? "," : "[");
			print_key_json(k);
			continue;
		}
		if (begins)
			printf("%s%s\n", i > 0 ? "\n" : "",
			    k->section == CONFIG_GLOBAL ? "(outside of sections)"
							: config_section_name(k->section));
		print_key(k);
	}
	printf("%s", admin->json ? "]\n" : "");
	return STATUS_OK;
}

static void print_key(const struct config_key *k)
{
	printf("  %s = %s%s%s%s\n      %s\n", k->name,
	    k->choices ? k->choices : config_type_name(k->type), k->fallback ? " (" : "",
	    k->fallback ? k->fallback : "", k->fallback ? ")" : "", k->help);
}

/* The default is in the form of the file; so are no bounds: they count bytes and seconds. */
static void print_key_json(const struct config_key *k)
{
	const struct {
		const char *label, *text;
	} fields[] = {{"section", config_section_name(k->section)}, {"key", k->name},
	    {"type", config_type_name(k->type)}, {"choices", k->choices}, {"default", k->fallback},
	    {"help", k->help}};
	printf("{");
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		printf("\"%s\":", fields[i].label);
		if (fields[i].text)
			print_json_string(span_cstr(fields[i].text));
		else
			printf("null");
		printf(",");
	}
	printf("\"min\":%" PRIu64 ",\"max\":%" PRIu64 "}", k->min, k->max);
}
