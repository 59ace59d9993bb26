//! Contrasting sentences to start from.
//!
//! A vector is read at each text's last token, so every sentence ends on the words that carry the contrast, and the two
//! of a pair differ in nothing else that could tell them apart.

use tiller_recipe::Pair;

/// A set of pairs under a name.
pub struct StartingSet {
    pub name: &'static str,
    pairs: &'static [(&'static str, &'static str)],
}

impl StartingSet {
    pub fn pairs(&self) -> Vec<Pair> {
        self.pairs
            .iter()
            .map(|(positive, negative)| Pair { positive: (*positive).into(), negative: (*negative).into() })
            .collect()
    }
}

pub const STARTING_SETS: [StartingSet; 5] = [
    StartingSet {
        name: "Cheerful − gloomy",
        pairs: &[
            (
                "I woke up this morning feeling absolutely wonderful",
                "I woke up this morning feeling absolutely miserable",
            ),
            ("When I think about tomorrow I am full of joy", "When I think about tomorrow I am full of dread"),
            ("The letter she sent me made me smile with delight", "The letter she sent me made me weep with sorrow"),
            ("We walked home together, laughing and happy", "We walked home alone, crying and sad"),
            ("My work today was exciting and so much fun", "My work today was tedious and so depressing"),
            ("The weather was bright, warm and glorious", "The weather was grey, cold and dreary"),
            ("Everyone at the party was merry and thrilled", "Everyone at the party was bitter and hopeless"),
            ("I love my life, it is a beautiful adventure", "I hate my life, it is a painful burden"),
            (
                "Looking back on this year, I feel grateful and glad",
                "Looking back on this year, I feel regretful and lonely",
            ),
            ("The news filled the whole town with happiness", "The news filled the whole town with despair"),
        ],
    },
    StartingSet {
        name: "Formal − casual",
        pairs: &[
            ("I would be most grateful for your kind assistance", "hey could you maybe help me out real quick"),
            ("We regret to inform you of a delay in delivery", "so yeah your stuff is gonna be late, sorry"),
            ("Please accept my sincere apologies for the inconvenience", "oops, my bad, sorry about all that mess"),
            ("I am writing to enquire about the vacant position", "hi, just wondering if that job is still up"),
            ("It is a pleasure to make your acquaintance", "hey, nice to meet you, what's up"),
            ("The committee shall convene at nine o'clock precisely", "we're all gonna meet up around nine or so"),
            ("I must respectfully disagree with that assessment", "nah, I don't really buy that, dude"),
            ("We kindly request that you refrain from smoking", "come on, don't smoke in here, okay"),
            ("I remain at your disposal for further information", "just text me if you wanna know more"),
            ("The results were found to be entirely satisfactory", "turned out it was totally cool, no biggie"),
        ],
    },
    StartingSet {
        name: "Poetic − plain",
        pairs: &[
            (
                "The moon spills silver over the sleeping, whispering sea",
                "The moon is visible above the water at night",
            ),
            ("My heart is a lantern trembling in the velvet dark", "I feel a little nervous at night"),
            ("Autumn lays her golden crown upon the weary hills", "In autumn the leaves on the hills turn yellow"),
            ("Her voice was honey poured upon the wounds of evening", "She spoke in a quiet and pleasant way"),
            ("The river sings its ancient lullaby to the stones", "The river makes a sound as it flows"),
            ("Time is a thief with feather-soft and tender hands", "Time goes by without people noticing it"),
            ("Dawn unfolds her rose-petal wings across the heavens", "The sun rises in the east each morning"),
            ("We are but sparks that dance upon eternity's breath", "People only live for a limited time"),
            ("The rain weaves threads of pearl through the dreaming garden", "It rained in the garden this afternoon"),
            ("Silence bloomed between us like a pale winter flower", "We did not talk to each other for a while"),
        ],
    },
    StartingSet {
        name: "Past − future",
        pairs: &[
            (
                "Long ago people travelled across the land on horses",
                "Some day people will travel across space in rockets",
            ),
            (
                "Yesterday I visited my grandmother in the old village",
                "Tomorrow I will visit my granddaughter in the new city",
            ),
            (
                "My ancestors lived in this house centuries ago",
                "My descendants will live in this house centuries from now",
            ),
            ("Last year in our garden we planted apple trees", "Next year in our garden apple trees will be planted"),
            ("I remember how the town used to look back then", "I imagine how the town is going to look one day"),
            ("When I was young we wrote letters by hand", "When I am old we will send thoughts by machine"),
            (
                "The ancient kings ruled this valley in antiquity",
                "The coming leaders will rule this valley in the future",
            ),
            ("She had already finished the book the week before", "She will have finished the book by next week"),
            ("In former days the streets were lit by candles", "In days to come the streets will be lit by robots"),
            ("He told us stories of what had happened", "He told us predictions of what will happen"),
        ],
    },
    StartingSet {
        name: "The sea − the desert",
        pairs: &[
            ("I spent the whole day looking out over the ocean", "I spent the whole day looking out over the dunes"),
            ("In front of us there was nothing but blue waves", "In front of us there was nothing but dry sand"),
            (
                "The travellers crossed the endless water in a ship",
                "The travellers crossed the endless sand on a camel",
            ),
            ("The wind smelled of salt, seaweed and fish", "The wind smelled of dust, heat and stone"),
            ("At night we heard the surf breaking on the beach", "At night we heard the sand hissing on the rocks"),
            ("My father was a sailor who loved the tide", "My father was a nomad who loved the drought"),
            ("We dived down to see the coral and the dolphins", "We climbed up to see the cactus and the lizards"),
            ("All around the island there was deep sea", "All around the oasis there was barren desert"),
            ("The storm soaked our sails with cold spray", "The storm buried our tents under hot dust"),
            ("I dream of harbours, lighthouses and the shore", "I dream of caravans, mirages and the Sahara"),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_set_is_usable() {
        let names: HashSet<&str> = STARTING_SETS.iter().map(|set| set.name).collect();
        assert_eq!(names.len(), STARTING_SETS.len());
        for set in &STARTING_SETS {
            let pairs = set.pairs();
            assert!((8..=12).contains(&pairs.len()), "{}", set.name);
            for Pair { positive, negative } in pairs {
                assert_ne!(positive.split(' ').next_back(), negative.split(' ').next_back(), "{}", set.name);
            }
        }
    }
}
