/** The id of a transfer where one method takes money over several wallets, each with ids of its own. */

/** `bkash`, ` ck250nroq5 ` → `BKASH:CK250NROQ5`: one spelling for each transfer, so that it can be unique for ever. */
export function trxIdOf(wallet: string, trxId: string): string {
  // What cannot be seen, or is another form of the same letter, makes no other transfer of it.
  const plain = (text: string): string =>
    text
      .normalize('NFKC')
      .replace(/[\p{C}\p{Z}\s]+/gu, '')
      .toUpperCase();
  return `${plain(wallet)}:${plain(trxId)}`;
}
