/** In characters. The sign-in library's own rule, and what NIST 800-63B asks of a password that people choose. */
export const passwordLength = { least: 8, most: 128 };
