/** Mails about payments, in the language of their owner. */
import type { Letter } from '../mail/compose.ts';
import { reasonText } from './reason_text.ts';
import { type Language, type PaymentRecord, receiptText } from './receipt.ts';
import { formatTaka } from './taka.ts';

/** What an owner is written about. */
export type News = 'credited' | 'needs_review' | 'failed' | 'refunded';

type Sentences = Readonly<Record<News, readonly [subject: string, ...paragraphs: string[]]>>;

/** `{amount}` is what was paid, `{back}` what went back. */
const english: Sentences = {
  credited: [
    'Receipt: your top-up of {amount}',
    'Your payment has arrived and is in your wallet. Thank you.',
  ],
  needs_review: [
    'Your top-up of {amount} is being looked at',
    'Your payment could not be credited by itself: a person looks at it now. You need not pay again; you will be told how it ends.',
  ],
  failed: [
    'Your top-up of {amount} was not credited',
    'Your payment was not accepted, and nothing was put into your wallet. If you were charged all the same, hand in the TrxID at the payment.',
  ],
  refunded: [
    'Your top-up of {amount} was given back',
    '{back} went back the way they came. How long that takes is up to the wallet that you paid with.',
  ],
};

const bangla: Sentences = {
  credited: ['রসিদ: আপনার {amount} টপ-আপ', 'আপনার পেমেন্ট পৌঁছেছে এবং ওয়ালেটে যোগ হয়েছে। ধন্যবাদ।'],
  needs_review: [
    'আপনার {amount} টপ-আপ যাচাই করা হচ্ছে',
    'পেমেন্টটি নিজে থেকে যোগ করা যায়নি, তাই একজন মানুষ এটি দেখছেন। আবার টাকা দিতে হবে না; ফলাফল আপনাকে জানানো হবে।',
  ],
  failed: [
    'আপনার {amount} টপ-আপ যোগ হয়নি',
    'পেমেন্টটি গ্রহণ করা হয়নি, তাই ওয়ালেটে কিছু যোগ হয়নি। তবু টাকা কেটে থাকলে পেমেন্টের পাতায় TrxID জমা দিন।',
  ],
  refunded: [
    'আপনার {amount} টপ-আপ ফেরত দেওয়া হয়েছে',
    '{back} যে পথে এসেছিল সে পথেই ফেরত গেছে। পৌঁছাতে কত সময় লাগবে তা আপনার ওয়ালেটের উপর নির্ভর করে।',
  ],
};

/** @param url of the receipt */
export function paymentLetter(record: PaymentRecord, news: News, url: string): Letter {
  const { payment, language } = record;
  const fill = (text: string): string =>
    text
      .replaceAll('{amount}', `৳${formatTaka(payment.amount)}`)
      .replaceAll('{back}', `৳${formatTaka(payment.refunded)}`);
  const [subject, ...paragraphs] = (language === 'bn' ? bangla : english)[news];
  const isCredited = news === 'credited' || news === 'refunded';
  const text = receiptText(record, language);
  const why = news === 'failed' ? reasonText(payment, language) : null;
  return {
    subject: fill(subject),
    paragraphs: [...paragraphs.map(fill), ...(why ? [why] : [])],
    facts: isCredited
      ? [...text.facts, ...text.amounts, text.total, ...text.refunds]
      : [...text.facts, ...text.amounts.slice(0, 1)],
    ...(isCredited ? { link: { label: labels[language], url } } : {}),
  };
}

const labels: Readonly<Record<Language, string>> = {
  en: 'Receipt as PDF',
  bn: 'রসিদ (পিডিএফ)',
};

export function autoTopupStopped(language: Language): Letter {
  if (language === 'bn')
    return {
      subject: 'আপনার স্বয়ংক্রিয় টপ-আপ বন্ধ হয়েছে',
      paragraphs: [
        'পরপর তিনটি স্বয়ংক্রিয় পেমেন্ট ব্যর্থ হয়েছে, তাই আর চেষ্টা করা হবে না। আপনার ওয়ালেটে যথেষ্ট টাকা আছে কি না দেখুন, তারপর নিয়মটি আবার চালু করুন।',
      ],
    };
  return {
    subject: 'Your automatic top-up has stopped',
    paragraphs: [
      'Three automatic payments in a row failed, and no more will be tried. See whether there is enough money in the wallet that pays, then set your automatic top-up anew.',
    ],
  };
}
