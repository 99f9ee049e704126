/**
 * Why a payment stands where it stands, in the language of its payer. The reasons themselves are kept in English, as the API
 * gives them; here they are found again by their form. What a provider or an operator wrote in words of his own has none.
 */
import type { Payment } from './payment.ts';

/** `{}` stands for what varies; the Bangla names it by its place, `{1}` first, or leaves it out. */
type Row = readonly [english: string, bangla: string];

const ofBkash: readonly Row[] = [
  [
    'bKash did not accept our request, and nothing was taken. We have to mend this: please pay in another way.',
    'বিকাশ আমাদের অনুরোধ নেয়নি, আপনার কোনো টাকা কাটা হয়নি। ত্রুটিটি আমাদের ঠিক করতে হবে: আপাতত অন্য কোনো উপায়ে পেমেন্ট করুন।',
  ],
  [
    'bKash is still working on this payment. We ask it how it ended: please do not pay again.',
    'বিকাশ এই পেমেন্ট নিয়ে এখনো কাজ করছে। কী হলো তা আমরা বিকাশের কাছে জেনে নিচ্ছি: আবার টাকা দেবেন না।',
  ],
  [
    'The permission for automatic payments is not valid any more. Please give a new one.',
    'স্বয়ংক্রিয় পেমেন্টের সম্মতিটি আর কার্যকর নেই। নতুন করে সম্মতি দিন।',
  ],
  [
    'bKash is not available at the moment. Please try again later, or pay in another way.',
    'বিকাশ এই মুহূর্তে কাজ করছে না। একটু পরে আবার চেষ্টা করুন, অথবা অন্য কোনো উপায়ে পেমেন্ট করুন।',
  ],
  ['The payment has not been confirmed in bKash yet.', 'বিকাশে পেমেন্টটি এখনো নিশ্চিত করা হয়নি।'],
  [
    'There is not enough money in the bKash account. Nothing was taken: add money to it, or choose a smaller amount.',
    'বিকাশ অ্যাকাউন্টে যথেষ্ট টাকা নেই। কোনো টাকা কাটা হয়নি: অ্যাকাউন্টে টাকা যোগ করুন, অথবা কম টাকা বেছে নিন।',
  ],
  [
    'bKash refuses a second payment of the same amount so soon after the first. Nothing was taken: please wait 5 minutes, or choose another amount.',
    'একই পরিমাণ টাকা এত তাড়াতাড়ি দ্বিতীয়বার বিকাশ নেয় না। কোনো টাকা কাটা হয়নি: ৫ মিনিট অপেক্ষা করুন, অথবা অন্য পরিমাণ বেছে নিন।',
  ],
  [
    'This number is no bKash account that can pay. Please use a personal bKash account.',
    'এই নম্বরের বিকাশ অ্যাকাউন্ট দিয়ে পেমেন্ট করা যায় না। পার্সোনাল বিকাশ অ্যাকাউন্ট ব্যবহার করুন।',
  ],
  ['The verification code was wrong. Please start again.', 'ভেরিফিকেশন কোডটি ভুল ছিল। আবার শুরু করুন।'],
  ['The PIN was wrong. Please start again.', 'পিন ভুল ছিল। আবার শুরু করুন।'],
  [
    'There were too many verification codes. Please wait a while, then start again.',
    'অনেকবার ভেরিফিকেশন কোড চাওয়া হয়েছে। কিছুক্ষণ অপেক্ষা করে আবার শুরু করুন।',
  ],
  [
    'The PIN was wrong too many times. bKash may have locked the account: please ask bKash, or pay in another way.',
    'অনেকবার ভুল পিন দেওয়া হয়েছে। বিকাশ অ্যাকাউন্টটি হয়তো বন্ধ রেখেছে: বিকাশের সাথে যোগাযোগ করুন, অথবা অন্য কোনো উপায়ে পেমেন্ট করুন।',
  ],
  [
    'The time to confirm the payment was over. Please start again.',
    'পেমেন্ট নিশ্চিত করার সময় পেরিয়ে গেছে। আবার শুরু করুন।',
  ],
  [
    'bKash does not let this account pay. Please ask bKash, or pay in another way.',
    'বিকাশ এই অ্যাকাউন্ট থেকে পেমেন্ট করতে দিচ্ছে না। বিকাশের সাথে যোগাযোগ করুন, অথবা অন্য কোনো উপায়ে পেমেন্ট করুন।',
  ],
  [
    'bKash refuses our credentials. Please pay in another way.',
    'বিকাশের সাথে আমাদের সংযোগ এই মুহূর্তে কাজ করছে না। অন্য কোনো উপায়ে পেমেন্ট করুন।',
  ],
  [
    'bKash cannot be reached at the moment. Please try again later.',
    'এই মুহূর্তে বিকাশের সাথে যোগাযোগ করা যাচ্ছে না। একটু পরে আবার চেষ্টা করুন।',
  ],
  [
    'bKash cannot be reached at the moment. Please try again later, or pay in another way.',
    'এই মুহূর্তে বিকাশের সাথে যোগাযোগ করা যাচ্ছে না। একটু পরে আবার চেষ্টা করুন, অথবা অন্য কোনো উপায়ে পেমেন্ট করুন।',
  ],
  [
    'Payments with bKash are not available until {} (Dhaka time). Please pay in another way.',
    'বাংলাদেশ সময় {1} পর্যন্ত বিকাশে পেমেন্ট করা যাবে না। অন্য কোনো উপায়ে পেমেন্ট করুন।',
  ],
  ['bKash did not answer', 'বিকাশ উত্তর দেয়নি।'],
  ['bKash knows no such transaction of our account', 'বিকাশে আমাদের অ্যাকাউন্টে এমন কোনো লেনদেন নেই।'],
  ['bKash did not say where the payment stands', 'পেমেন্টের অবস্থা বিকাশ জানায়নি।'],
  ['the payment was not opened at bKash', 'বিকাশে পেমেন্টটি শুরু হয়নি।'],
  [
    'bKash calls the payment completed, but names no amount or no TrxID',
    'বিকাশ পেমেন্টটিকে সম্পন্ন বলছে, কিন্তু টাকার পরিমাণ বা TrxID জানায়নি।',
  ],
  ['the payment has not been confirmed in bKash', 'বিকাশে পেমেন্টটি নিশ্চিত করা হয়নি।'],
  ['the payment was cancelled in bKash', 'বিকাশে পেমেন্টটি বাতিল করা হয়েছে।'],
  ['the payment was not confirmed in bKash in time', 'বিকাশে পেমেন্টটি সময়মতো নিশ্চিত করা হয়নি।'],
  ['bKash could not make the payment', 'বিকাশ পেমেন্টটি করতে পারেনি।'],
  ['bKash says "{}", which we do not know', 'বিকাশ যে উত্তর দিয়েছে তা আমাদের অজানা: “{1}”।'],
  [
    'The intent of this payment is "{}", not a sale.',
    'এই পেমেন্ট কেনাকাটার নয়; বিকাশ এর ধরন বলছে “{1}”।',
  ],
  ['The mode of this payment is {}, not one of ours.', 'এই পেমেন্টের মোড ({1}) আমাদের নয়।'],
  ['This is no payment to us, but "{}".', 'এটি আমাদের কাছে আসা পেমেন্ট নয়; বিকাশ একে বলছে “{1}”।'],
];

const ofOthers: readonly Row[] = [
  ['Nagad says "{}", which we do not know.', 'নগদ যে উত্তর দিয়েছে তা আমাদের অজানা: “{1}”।'],
  ['Nagad says Success with the code {}.', 'নগদ সফল বলছে, কিন্তু সাথে একটি কোড দিয়েছে: {1}।'],
  ['Nagad shows that the money was given back.', 'নগদ দেখাচ্ছে যে টাকা ফেরত দেওয়া হয়েছে।'],
  ['Nagad shows that money was given back ({}).', 'নগদ দেখাচ্ছে যে টাকা ফেরত দেওয়া হয়েছে ({1})।'],
  ["The payment was cancelled on Nagad's page.", 'নগদের পাতায় পেমেন্টটি বাতিল করা হয়েছে।'],
  ['Nagad says that the payment failed ({}).', 'নগদ জানিয়েছে, পেমেন্টটি হয়নি (কোড {1})।'],
  ['Nagad says that the payment failed.', 'নগদ জানিয়েছে, পেমেন্টটি হয়নি।'],
  ['Nagad names the merchant {}, who is not us.', 'নগদ অন্য একজন মার্চেন্টের নাম বলছে: {1}।'],
  ['Nagad says Success without a proper {}.', 'নগদ সফল বলছে, কিন্তু উত্তরে একটি তথ্য নেই ({1})।'],
  ['Nagad does not say how the payment stands: {}', 'পেমেন্টের অবস্থা নগদ জানায়নি।'],
  ['The payment was never opened at Nagad.', 'নগদে পেমেন্টটি শুরুই হয়নি।'],
  ['Nagad gave no answer that can be understood.', 'নগদের উত্তর বোঝা যায়নি।'],
  [
    'Nagad is not available here. Pay in another way.',
    'এখানে নগদ চালু নেই। অন্য কোনো উপায়ে পেমেন্ট করুন।',
  ],
  [
    'Nagad did not open the payment ({}). Try again later, or pay in another way.',
    'নগদ পেমেন্টটি শুরু করেনি। একটু পরে আবার চেষ্টা করুন, অথবা অন্য কোনো উপায়ে পেমেন্ট করুন।',
  ],
  [
    'The TrxID was handed in; UddoktaPay has yet to approve it.',
    'TrxID জমা পড়েছে; UddoktaPay এখনো তা অনুমোদন করেনি।',
  ],
  ['UddoktaPay says that the payment failed.', 'UddoktaPay জানিয়েছে, পেমেন্টটি হয়নি।'],
  ['UddoktaPay answered {}.', 'UddoktaPay ঠিক উত্তর দেয়নি (কোড {1})।'],
  ['UddoktaPay names no invoice with an amount.', 'UddoktaPay ইনভয়েস বা টাকার পরিমাণ জানায়নি।'],
  ['UddoktaPay gives the status {}.', 'UddoktaPay পেমেন্টের অবস্থা বলছে: {1}।'],
  [
    'The payment at UddoktaPay names no invoice of ours.',
    'UddoktaPay-এর পেমেন্টটিতে আমাদের কোনো ইনভয়েসের নাম নেই।',
  ],
  ['UddoktaPay names no TrxID.', 'UddoktaPay কোনো TrxID জানায়নি।'],
  ['UddoktaPay did not open the payment: {}', 'UddoktaPay পেমেন্টটি শুরু করেনি।'],
  ['UddoktaPay did not open the payment.', 'UddoktaPay পেমেন্টটি শুরু করেনি।'],
  ['The payer has not come back from UddoktaPay yet.', 'UddoktaPay-এর পাতা থেকে এখনো ফেরা হয়নি।'],
];

const ofOurs: readonly Row[] = [
  ['{} does not answer at the moment.', '{1} এই মুহূর্তে উত্তর দিচ্ছে না।'],
  ['{} was not reached. Nothing was paid.', '{1}-এর সাথে যোগাযোগ করা যায়নি। কোনো টাকা কাটা হয়নি।'],
  ['It was paid, but {}.', 'টাকা এসেছে, কিন্তু {1}।'],
  ['the provider names no transaction', 'লেনদেন নম্বর পাওয়া যায়নি'],
  ['the amount is not named, not ৳{}', 'টাকার পরিমাণ জানা যায়নি, হওয়ার কথা ৳{1}'],
  ['the amount is ৳{}, not ৳{}', 'পরিমাণ ৳{1}, হওয়ার কথা ৳{2}'],
  ['the invoice is not named, not {}', 'ইনভয়েস জানা যায়নি, হওয়ার কথা {1}'],
  ['the invoice is {}, not {}', 'ইনভয়েস {1}, হওয়ার কথা {2}'],
  ["the provider's id is {}, not {}", 'পেমেন্টের আইডি {1}, হওয়ার কথা {2}'],
  ['the currency is {}', 'মুদ্রা {1}, টাকা নয়'],
  ['The provider does not say what became of it.', 'পেমেন্টটির কী হলো তা জানা যায়নি।'],
  [
    'The payer has agreed, and the provider has not confirmed it in time.',
    'পেমেন্টে সম্মতি দেওয়া হয়েছে, কিন্তু তা সময়মতো নিশ্চিত হয়নি।',
  ],
  ['It was not paid in time.', 'সময়মতো টাকা দেওয়া হয়নি।'],
  [
    'It was paid after it was given up, and the account brought more than ৳{} within 24 hours.',
    'পেমেন্টটি বন্ধ হওয়ার পরে টাকা এসেছে, আর এই অ্যাকাউন্টে ২৪ ঘণ্টায় ৳{1}-এর বেশি এসেছে।',
  ],
  [
    'It was paid after it was given up, and the account brought more than ৳{} within 30 days.',
    'পেমেন্টটি বন্ধ হওয়ার পরে টাকা এসেছে, আর এই অ্যাকাউন্টে ৩০ দিনে ৳{1}-এর বেশি এসেছে।',
  ],
  ['One number pays for {} accounts.', 'একটি নম্বর থেকে {1}টি অ্যাকাউন্টে টাকা এসেছে।'],
  ['{} numbers pay for this account.', 'এই অ্যাকাউন্টে {1}টি নম্বর থেকে টাকা এসেছে।'],
  [
    'One number paid more than ৳{} within 24 hours.',
    'একটি নম্বর থেকে ২৪ ঘণ্টায় ৳{1}-এর বেশি টাকা এসেছে।',
  ],
  [
    'It came after its quote, and the rate has moved by {} %.',
    'টাকা দেরিতে এসেছে, এর মধ্যে বিনিময় হার {1}% বদলে গেছে।',
  ],
  [
    'The transaction {} belongs to another payment already.',
    'লেনদেন {1} আগেই অন্য একটি পেমেন্টের জন্য ব্যবহার হয়েছে।',
  ],
  [
    'An admin looks for transaction {} in the wallet that it was sent to.',
    'যে নম্বরে টাকা পাঠিয়েছেন, সেখানে লেনদেন {1} খোঁজা হচ্ছে।',
  ],
  [
    'An admin looks for the money in the wallet that it was sent to.',
    'যে নম্বরে টাকা পাঠিয়েছেন, সেখানে তা খোঁজা হচ্ছে।',
  ],
  [
    '৳{} came in instead of ৳{}: that is credited by another payment.',
    '৳{2}-এর জায়গায় ৳{1} এসেছে: এর ক্রেডিট অন্য একটি পেমেন্টে জমা হয়েছে।',
  ],
  [
    '{} knows transaction {}, but not which payment it is for: a person looks at it.',
    '{1} লেনদেন {2} চেনে, কিন্তু কোন পেমেন্টের তা জানে না: একজন মানুষ দেখছেন।',
  ],
  [
    'Transaction {} may be of this payment: a person looks at it.',
    'লেনদেন {1} হয়তো এই পেমেন্টের: একজন মানুষ দেখছেন।',
  ],
];

/** What is wrong with a TrxID that was handed in. */
const ofForms: readonly Row[] = [
  ['A bKash TrxID has 10 letters and digits.', 'বিকাশের TrxID-তে ১০টি অক্ষর ও অঙ্ক থাকে।'],
  ['A Nagad TxnID has 8 letters and digits.', 'নগদের TxnID-তে ৮টি অক্ষর ও অঙ্ক থাকে।'],
  ['A Rocket TxnId has 10 digits.', 'রকেটের TxnId-তে ১০টি অঙ্ক থাকে।'],
  [
    'Enter the TrxID from the message that your wallet sent.',
    'টাকা পাঠানোর পরে যে মেসেজ এসেছে, সেখান থেকে TrxID লিখুন।',
  ],
  ['Choose the wallet that you sent from: {}.', 'কোনটি দিয়ে টাকা পাঠিয়েছেন তা বেছে নিন: {1}।'],
  [
    'Enter the number that you sent from, such as 01712345678, or its last 4 digits.',
    'যে নম্বর থেকে পাঠিয়েছেন তা লিখুন, যেমন 01712345678, অথবা তার শেষ ৪ অঙ্ক।',
  ],
  ['There is no such payment.', 'এমন কোনো পেমেন্ট নেই।'],
  [
    'This payment is confirmed already, or was never opened.',
    'এই পেমেন্ট আগেই নিশ্চিত হয়েছে, অথবা শুরুই হয়নি।',
  ],
  [
    'This transaction belongs to another payment already.',
    'এই লেনদেন আগেই অন্য একটি পেমেন্টের জন্য ব্যবহার হয়েছে।',
  ],
  [
    'Too many transactions were handed in for this payment. Write to support.',
    'এই পেমেন্টের জন্য অনেকগুলো TrxID জমা পড়েছে। সহায়তার জন্য লিখুন।',
  ],
  [
    'Too many of your payments wait to be looked at. Wait until some are done.',
    'আপনার অনেকগুলো পেমেন্ট যাচাইয়ের অপেক্ষায় আছে। কয়েকটি শেষ হওয়া পর্যন্ত অপেক্ষা করুন।',
  ],
  ['The payment changed meanwhile: look again.', 'এর মধ্যে পেমেন্টটির অবস্থা বদলে গেছে: আবার দেখুন।'],
];

/** Why a voucher was not taken, or who redeems it is not known. */
const ofVouchers: readonly Row[] = [
  [
    'This is no voucher code: a letter is missing or wrong. Look at it again.',
    'এটি ভাউচারের কোড নয়: কোনো অক্ষর বাদ পড়েছে বা ভুল হয়েছে। আবার মিলিয়ে দেখুন।',
  ],
  ['There is no such voucher.', 'এমন কোনো ভাউচার নেই।'],
  [
    'This account has redeemed this voucher, or another one of the same offer, already.',
    'এই অ্যাকাউন্টে এই ভাউচার, অথবা একই অফারের অন্য একটি, আগেই ব্যবহার হয়েছে।',
  ],
  ['This voucher is no longer valid.', 'এই ভাউচারটি আর কার্যকর নেই।'],
  ['This voucher has been redeemed already.', 'এই ভাউচারটি আগেই ব্যবহার হয়ে গেছে।'],
  ['This voucher has expired.', 'এই ভাউচারের মেয়াদ শেষ হয়ে গেছে।'],
  ['This voucher is for new accounts.', 'এই ভাউচারটি নতুন অ্যাকাউন্টের জন্য।'],
  [
    'This voucher is for accounts that have topped up at least ৳{} at once.',
    'যে অ্যাকাউন্টে একবারে অন্তত ৳{1} টপ-আপ হয়েছে, এই ভাউচারটি তার জন্য।',
  ],
  ['The e-mail address or the password is wrong.', 'ই-মেইল ঠিকানা অথবা পাসওয়ার্ডটি ভুল।'],
  [
    'Too many attempts. Wait a while, then try again.',
    'অনেকবার চেষ্টা করা হয়েছে। কিছুক্ষণ অপেক্ষা করে আবার চেষ্টা করুন।',
  ],
];

const names: Readonly<Record<string, string>> = {
  bKash: 'বিকাশ',
  Nagad: 'নগদ',
  Rocket: 'রকেট',
  'Send Money': 'সেন্ড মানি',
};

/** Of a method or a wallet; one that has no other name in Bangla keeps its own. */
export function nameIn(language: 'en' | 'bn', name: string): string {
  return language === 'bn' ? (names[name] ?? name) : name;
}

const forms = [...ofBkash, ...ofOthers, ...ofOurs, ...ofForms, ...ofVouchers].map(
  ([english, bangla]) => {
    const parts = english.split('{}').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    return { pattern: new RegExp(`^${parts.join('(.{1,400}?)')}$`, 's'), bangla };
  },
);

/** A sentence of ours in Bangla; null for one that is in nobody's list, such as what a provider or an operator wrote. */
export function inBangla(sentence: string): string | null {
  for (const { pattern, bangla } of forms) {
    const found = pattern.exec(sentence);
    if (!found) continue;
    return bangla.replace(/\{(\d)\}/g, (_place, number: string) =>
      (found[Number(number)] ?? '')
        .split('; ')
        .map((part) => names[part] ?? inBangla(part) ?? part)
        .join('; '),
    );
  }
  return null;
}

/**
 * Why a payment stands where it stands, as a sentence; null for no reason, or none that can be told in this language.
 * Of a payment that a person rejected these are that person's own words, whatever their language.
 */
export function reasonText(
  { reason, rejectedAt }: Pick<Payment, 'reason' | 'rejectedAt'>,
  language: 'en' | 'bn',
): string | null {
  if (reason === null) return null;
  if (language === 'bn') return inBangla(reason) ?? (rejectedAt ? reason : null);
  const begun = reason.startsWith('bKash')
    ? reason
    : reason.charAt(0).toUpperCase() + reason.slice(1);
  return /[.!?।]$/.test(begun) ? begun : `${begun}.`;
}
