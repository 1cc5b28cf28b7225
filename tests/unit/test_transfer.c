#include "tap.h"

#include "mime/transfer.h"

static const struct {
	struct span encoding, input, expected;
} cases[] = {
    {{"7bit", 4}, {"a=3D\r\n", 6}, {"a=3D\r\n", 6}},
    {{NULL, 0}, {"abc", 3}, {"abc", 3}},
    {{"BASE64", 6}, {"aGVsbG8=", 8}, {"hello", 5}},
    {{"base64", 6}, {"aGVs\r\nbG8gd29y\r\nbGQ\r\n", 21}, {"hello world", 11}},
    {{"base64", 6}, {"aGk=aGk=", 8}, {"hihi", 4}},
    {{"base64", 6}, {"!a*G-k", 6}, {"hi", 2}},
    {{"base64", 6}, {"====", 4}, {"", 0}},
    {{"Quoted-Printable", 16}, {"a=3Db=c3=A4", 11}, {"a=b\xc3\xa4", 5}},
    {{"quoted-printable", 16}, {"soft=\r\nbreak=\nhere", 18}, {"softbreakhere", 13}},
    {{"quoted-printable", 16}, {"=4", 2}, {"=4", 2}},
    {{"quoted-printable", 16}, {"=4=41=\rx==41", 12}, {"=4A=\rx=A", 8}},
    {{"x-unknown", 9}, {"=41", 3}, {"=41", 3}},
};

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (size_t cut = 0; cut <= cases[i].input.n; cut++) {
			struct str out cleanup(str_clear) = STR_INIT(100);
			struct transfer_decoder d =
			    transfer_decoder_of(transfer_encoding_of(cases[i].encoding));
			transfer_decode(&d, span_sub(cases[i].input, 0, cut), &out);
			transfer_decode(&d, span_from(cases[i].input, cut), &out);
			transfer_decode_end(&d, &out);
			check_span(str_span(&out), cases[i].expected);
		}
	}
	return tap_end();
}
