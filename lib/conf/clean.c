#include "base/str.h"
#include "conf/parse.h"

#include "base/ascii.h"
#include "text/text.h"

struct cleaner {
	struct span text;
	size_t at;
	struct config_place place;
	struct config_report *report;
	struct str *out;
};

static bool skip_line_comment(struct cleaner *c);
static bool skip_block_comment(struct cleaner *c);
static bool copy_string(struct cleaner *c, char quote);
static bool copy_plain(struct cleaner *c);
static bool begins_word(const struct cleaner *c);
static bool looking_at(const struct cleaner *c, const char *what);

bool config_clean(struct span text, struct span file, struct config_report *report, struct str *out)
{
	struct cleaner c = {.text = text, .place = {file, 1}, .report = report, .out = out};
	if (!utf8_is_valid(text) && text.n > 0) {
		report_error(report, (struct config_place){file, 1},
		    "this file is not UTF-8 text; save it as UTF-8");
		return false;
	}
	if (looking_at(&c, "\xef\xbb\xbf"))
		c.at = 3; /* a byte order mark, as some editors write it */
	while (c.at < text.n) {
		char quote = text.p[c.at];
		bool good;
		if (quote == '#' || (looking_at(&c, "//") && begins_word(&c)))
			good = skip_line_comment(&c);
		else if (looking_at(&c, "/*") && begins_word(&c))
			good = skip_block_comment(&c);
		else if (quote == '"' || quote == '\'')
			good = copy_string(&c, quote);
		else
			good = copy_plain(&c);
		if (!good)
			return false;
	}
	return str_error(out) == 0;
}

static bool skip_line_comment(struct cleaner *c)
{
	while (c->at < c->text.n && c->text.p[c->at] != '\n')
		c->at++;
	return true;
}

static bool skip_block_comment(struct cleaner *c)
{
	struct config_place start = c->place;
	for (c->at += 2; c->at < c->text.n; c->at++) {
		if (looking_at(c, "*/")) {
			c->at += 2;
			str_append_char(c->out, ' ');
			return true;
		}
		if (c->text.p[c->at] == '\n') {
			str_append_char(c->out, '\n');
			c->place.line++;
		}
	}
	report_error(c->report, start, "this comment has no end; close it with */");
	return false;
}

static bool copy_string(struct cleaner *c, char quote)
{
	size_t start = c->at;
	for (c->at++; c->at < c->text.n && c->text.p[c->at] != '\n'; c->at++) {
		char byte = c->text.p[c->at];
		if (byte == quote) {
			c->at++;
			str_append(c->out, span_sub(c->text, start, c->at - start));
			return true;
		}
		if (looking_at(c, "${")) {
			report_error(c->report, c->place,
			    "\"${\" is not allowed: variables are not expanded here; write the "
			    "value");
			return false;
		}
		if (ascii_is_control((unsigned char)byte) && byte != '\t') {
			report_error(c->report, c->place, "a control character in a string");
			return false;
		}
		if (byte != '\\')
			continue;
		c->at++;
		if (quote == '"' && (looking_at(c, "\"") || looking_at(c, "\\")))
			continue;
		report_error(c->report, c->place,
		    "a backslash may only stand before \" or \\, in double quotes");
		return false;
	}
	report_error(
	    c->report, c->place, "this string has no end; close it with %c on this line", quote);
	return false;
}

static bool copy_plain(struct cleaner *c)
{
	char byte = c->text.p[c->at];
	if (looking_at(c, "${")) {
		report_error(c->report, c->place,
		    "\"${\" is not allowed: variables are not expanded here; write the value");
		return false;
	}
	if (byte == '\n')
		c->place.line++;
	else if (byte == '\r' || byte == '\f')
		byte = ' ';
	else if (byte == '\\' || (ascii_is_control((unsigned char)byte) && byte != '\t')) {
		report_error(c->report, c->place, "a %s outside of a string",
		    byte == '\\' ? "backslash" : "control character");
		return false;
	}
	str_append_char(c->out, byte);
	c->at++;
	return true;
}

/* "https://x" is a word: only what does not continue one begins a comment. */
static bool begins_word(const struct cleaner *c)
{
	if (c->at == 0)
		return true;
	char before = c->text.p[c->at - 1];
	return ascii_is_wsp((unsigned char)before) || strchr("\r\n{}()=,;\"'", before) != NULL;
}

static bool looking_at(const struct cleaner *c, const char *what)
{
	return span_starts_with(span_from(c->text, c->at), span_cstr(what));
}
