#include "conf/parse.h"

#include <assert.h>
#include <confuse.h>
#include <dirent.h>
#include <fcntl.h>

#include "base/str.h"
#include "io/file.h"

enum { DEPTH_MAX = 4, COMPLAINT_MAX_BYTES = 4096 };

/*
 * The tree is built from libConfuse's callbacks, because only there are file and line known: a
 * hidden list with a default value, first in each section, is "set" when the section begins
 * (begin_section); the section's own callback comes when it has ended; the others come with each
 * value. libConfuse hands callbacks no context: the default number of the first option, which a
 * list does not use, carries it.
 */
#define BEGIN_OPTION "\n" /* nobody can write it: config_clean() allows it in no string */

struct parse {
	struct arena *arena;
	struct config_report *report;
	struct span file;
	struct config_section *root;
	struct {
		cfg_t *cfg;
		struct config_section *section;
	} open[DEPTH_MAX]; /* the first is the root */
	size_t depth;
	bool complained;
};

static cfg_opt_t *make_options(struct parse *p, enum config_section_kind kind, struct arena *a);
static void parse_folder(struct parse *p, cfg_t *cfg, const char *etc, int etc_fd);
static void parse_file(struct parse *p, cfg_t *cfg, int dirfd, const char *name, struct span path);
static void parse_text(struct parse *p, cfg_t *cfg, struct span text, struct span path);
static int begin_section(cfg_t *cfg, cfg_opt_t *option);
static int end_section(cfg_t *cfg, cfg_opt_t *option);
static int add_value(cfg_t *cfg, cfg_opt_t *option);
static bool only_grew(const struct config_value *v, cfg_opt_t *option);
static void add_items(struct arena *a, struct config_value *v, cfg_opt_t *option);
static void complain(cfg_t *cfg, const char *format, va_list args) printf_like(2, 0);
static void name_same_title(struct parse *p, struct span title, struct config_place place);
static struct parse *parse_of(cfg_t *cfg);
static int compare_names(const void *a, const void *b);

void config_parse(const char *etc, struct span extra_path, struct span extra_text, struct arena *a,
    struct config_report *report, struct config_section **ret)
{
	struct config_section *root = ARENA_NEW(a, struct config_section);
	root->tail = &root->first;
	*ret = root;
	struct parse p = {.arena = a, .report = report, .root = root};
	struct span path = arena_format(a, "%s/postern.conf", etc);
	root->place.file = path;
	int fd = open(etc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		report_unreadable(report, (struct config_place){path, 0}, SPAN_NONE, -errno);
		return;
	}
	struct arena options cleanup(arena_clear) = {0};
	cfg_t *cfg = cfg_init(make_options(&p, CONFIG_GLOBAL, &options), CFGF_NONE);
	if (!cfg)
		abort(); /* out of memory, which libConfuse reports so */
	cfg_set_error_function(cfg, complain);
	parse_file(&p, cfg, fd, "postern.conf", path);
	parse_folder(&p, cfg, etc, fd);
	if (span_is_set(extra_text))
		parse_text(&p, cfg, extra_text, extra_path);
	cfg_free(cfg);
	close_fd(&fd);
}

const struct config_value *config_get(const struct config_section *s, const char *name)
{
	for (const struct config_value *v = s->values; v; v = v->next) {
		if (span_equal(span_cstr(v->key->name), span_cstr(name)))
			return v;
	}
	return NULL;
}

/* Options in the arena; cfg_init() copies them. Recursion ends with routes, which hold nothing. */
static cfg_opt_t *make_options(struct parse *p, enum config_section_kind kind, struct arena *a)
{
	char *one_item =
	    arena_cstr(a, SPAN("{x}")); /* libConfuse wants it writable, and copies it */
	cfg_opt_t *options = ARENA_ARRAY(a, cfg_opt_t, config_key_count + CONFIG_SECTION_COUNT + 2);
	size_t n = 0;
	options[n] = (cfg_opt_t)CFG_STR_LIST(BEGIN_OPTION, one_item, CFGF_NONE);
	options[n].def.number = (long)(intptr_t)p;
	options[n++].validcb = begin_section;
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		if (key->section != kind)
			continue;
		if (config_type_is_list(key->type))
			options[n] = (cfg_opt_t)CFG_STR_LIST(key->name, NULL, CFGF_NODEFAULT);
		else
			options[n] = (cfg_opt_t)CFG_STR(key->name, NULL, CFGF_NODEFAULT);
		options[n++].validcb = add_value;
	}
	for (int child = CONFIG_GLOBAL + 1; child < CONFIG_SECTION_COUNT; child++) {
		enum config_section_kind inner = (enum config_section_kind)child;
		bool routes = kind == CONFIG_ACCOUNT || kind == CONFIG_DOMAIN;
		if (kind != CONFIG_GLOBAL && !(routes && inner == CONFIG_ROUTE))
			continue;
		cfg_flag_t flags = CFGF_MULTI;
		if (config_section_has_title(inner))
			flags |= CFGF_TITLE | CFGF_NO_TITLE_DUPES;
		options[n] = (cfg_opt_t)CFG_SEC(
		    config_section_name(inner), make_options(p, inner, a), flags);
		options[n++].validcb = end_section;
	}
	options[n] = (cfg_opt_t)CFG_END();
	return options;
}

static void parse_folder(struct parse *p, cfg_t *cfg, const char *etc, int etc_fd)
{
	struct config_place place = {arena_format(p->arena, "%s/conf.d", etc), 0};
	int fd = openat(etc_fd, "conf.d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		if (errno != ENOENT)
			report_unreadable(p->report, place, SPAN_NONE, -errno);
		return;
	}
	DIR *folder = fdopendir(fd);
	if (!folder) {
		report_unreadable(p->report, place, SPAN_NONE, -errno);
		close_fd(&fd);
		return;
	}
	const char **names = xcalloc(CONFIG_FILES_MAX, sizeof(*names));
	size_t count = 0;
	for (const struct dirent *e; (e = readdir(folder)) && count < CONFIG_FILES_MAX;) {
		struct span name = span_cstr(e->d_name);
		/* Editors leave ".x.conf.swp" and "x.conf~" behind. */
		if (name.p[0] != '.' && span_ends_with(name, SPAN(".conf")))
			names[count++] = arena_cstr(p->arena, name);
	}
	if (count == CONFIG_FILES_MAX)
		report_error(p->report, place, "holds %u files or more", CONFIG_FILES_MAX);
	qsort(names, count, sizeof(*names), compare_names);
	for (size_t i = 0; i < count; i++) {
		struct span path = arena_format(p->arena, "%s/conf.d/%s", etc, names[i]);
		parse_file(p, cfg, dirfd(folder), names[i], path);
	}
	free(names);
	(void)closedir(folder); /* was read only */
}

static void parse_file(struct parse *p, cfg_t *cfg, int dirfd, const char *name, struct span path)
{
	struct str text cleanup(str_clear) = STR_INIT(CONFIG_FILE_MAX_BYTES);
	int rc = file_read(dirfd, name, &text);
	struct config_place place = {path, 0};
	if (rc == -ELOOP)
		report_error(p->report, place, "cannot be read: it is a symbolic link");
	else if (rc < 0)
		report_unreadable(p->report, place, SPAN_NONE, rc);
	else
		parse_text(p, cfg, str_span(&text), path);
}

static void parse_text(struct parse *p, cfg_t *cfg, struct span text, struct span path)
{
	struct str cleaned cleanup(str_clear) = STR_INIT(CONFIG_FILE_MAX_BYTES);
	struct config_place start = {path, 1};
	if (!config_clean(text, path, p->report, &cleaned) || cleaned.n == 0)
		return;
	FILE *in = fmemopen(cleaned.data, cleaned.n, "r");
	if (!in) {
		report_error(p->report, start, "cannot be read: %s", strerror(errno));
		return;
	}
	p->file = path;
	p->depth = 1;
	p->complained = false;
	free(cfg->filename);
	cfg->filename = NULL; /* places come from p */
	if (cfg_parse_fp(cfg, in) != CFG_SUCCESS && !p->complained)
		report_error(p->report, start, "this file is not understood");
	(void)fclose(in); /* memory */
}

static int begin_section(cfg_t *cfg, cfg_opt_t *option)
{
	(void)option;
	struct parse *p = parse_of(cfg);
	if (p->depth == 0) { /* the root, from cfg_init() */
		p->open[p->depth].cfg = cfg;
		p->open[p->depth++].section = p->root;
		return 0;
	}
	/* Called for the item of the default, and again for the end of the list. */
	if (p->open[p->depth - 1].cfg == cfg)
		return 0;
	assert(p->depth < DEPTH_MAX);
	struct config_section *s = ARENA_NEW(p->arena, struct config_section);
	for (int kind = 0; kind < CONFIG_SECTION_COUNT; kind++) {
		if (strcmp(cfg->name, config_section_name((enum config_section_kind)kind)) == 0)
			s->kind = (enum config_section_kind)kind;
	}
	s->title = arena_span(p->arena, span_cstr(cfg->title));
	s->place = (struct config_place){p->file, (unsigned)cfg->line};
	s->tail = &s->first;
	struct config_section *parent = p->open[p->depth - 1].section;
	*parent->tail = s;
	parent->tail = &s->next;
	p->open[p->depth].cfg = cfg;
	p->open[p->depth++].section = s;
	return 0;
}

static int end_section(cfg_t *cfg, cfg_opt_t *option)
{
	(void)option;
	struct parse *p = parse_of(cfg);
	assert(p->depth > 1);
	p->depth--;
	return 0;
}

static int add_value(cfg_t *cfg, cfg_opt_t *option)
{
	struct parse *p = parse_of(cfg);
	struct config_section *s = p->open[p->depth - 1].section;
	struct config_place place = {p->file, (unsigned)cfg->line};
	struct config_value *v = s->values;
	while (v && strcmp(v->key->name, option->name) != 0)
		v = v->next;
	if (!v) {
		v = ARENA_NEW(p->arena, struct config_value);
		v->key = config_key_find(s->kind, span_cstr(option->name));
		assert(v->key);
		v->place = place;
		v->next = s->values;
		s->values = v;
	} else if (!config_type_is_list(v->key->type) || !only_grew(v, option)) {
		report_error(p->report, place, "%s is set twice; the first time at %.*s%s",
		    option->name, SPAN_ARG(report_place(p->arena, v->place)),
		    config_type_is_list(v->key->type) ? "; to add to a list write +=" : "");
	}
	add_items(p->arena, v, option);
	return 0;
}

/*
 * A list's callback comes with each item and once more at its end. Is what stood there before still
 * there? If not, the list was set anew.
 */
static bool only_grew(const struct config_value *v, cfg_opt_t *option)
{
	size_t count = cfg_opt_size(option);
	if (count < v->count)
		return false;
	return v->count == 0 || span_equal(v->items[v->count - 1],
				    span_cstr(cfg_opt_getnstr(option, (unsigned)v->count - 1)));
}

static void add_items(struct arena *a, struct config_value *v, cfg_opt_t *option)
{
	size_t count = cfg_opt_size(option);
	if (count < v->count || !config_type_is_list(v->key->type))
		v->count = 0;
	while (v->count < count) {
		ARENA_ROOM(a, v->items, v->count, v->allocated);
		const char *item = cfg_opt_getnstr(option, (unsigned)v->count);
		v->items[v->count++] = arena_span(a, span_cstr(item ? item : ""));
	}
}

/* libConfuse's own complaints: one per file, at which it stops. */
static void complain(cfg_t *cfg, const char *format, va_list args)
{
	struct parse *p = parse_of(cfg);
	if (p->complained)
		return; /* an outer section repeating it */
	p->complained = true;
	struct config_place place = {p->file, (unsigned)cfg->line};
	struct str text cleanup(str_clear) = STR_INIT(COMPLAINT_MAX_BYTES);
	va_list again;
	va_copy(again, args);
	str_vformat(&text, format, args);
	if (strcmp(format, "found duplicate title '%s'") == 0) {
		const char *title = va_arg(again, const char *);
		name_same_title(p, span_cstr(title), place);
	} else if (strcmp(format, "no such option '%s'") == 0) {
		const char *name = va_arg(again, const char *);
		struct config_section *s = p->open[p->depth - 1].section;
		report_error(p->report, place,
		    "unknown key or section \"%s\"%s%s; `postern config keys` lists them", name,
		    s->kind == CONFIG_GLOBAL ? "" : " in ", config_section_name(s->kind));
	} else {
		report_error(p->report, place, "%.*s", SPAN_ARG(str_span(&text)));
	}
	va_end(again);
}

/* Two sections of one kind and title; the kind is not told, so all of that title are named. */
static void name_same_title(struct parse *p, struct span title, struct config_place place)
{
	struct str where cleanup(str_clear) = STR_INIT(COMPLAINT_MAX_BYTES);
	for (const struct config_section *s = p->root->first; s; s = s->next) {
		if (!span_is_set(s->title) || !span_equal(s->title, title))
			continue;
		str_format(&where, "%s%s at %.*s", where.n > 0 ? ", " : "",
		    config_section_name(s->kind), SPAN_ARG(report_place(p->arena, s->place)));
	}
	report_error(p->report, place, "a second section \"%.*s\"; there is already: %.*s",
	    SPAN_ARG(title), SPAN_ARG(str_span(&where)));
}

static struct parse *parse_of(cfg_t *cfg)
{
	/* From the number that make_options() put there. */
	return (struct parse *)(intptr_t)cfg->opts[0]
	    .def.number; /* NOLINT(performance-no-int-to-ptr) */
}

static int compare_names(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;
	return strcmp(*left, *right);
}
